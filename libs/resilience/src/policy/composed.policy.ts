import type { Clock } from '../clock/clock.js';
import type { Random } from '../random/random.js';
import type { DeadlineList } from './deadline-list.js';
import type { AttemptContext, ExecuteOptions, Policy, PolicySnapshot } from './policy.js';
import type { ResolvedPolicy } from './resolve-policy.js';

/** What a policy takes from its registry. */
export interface PolicyParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlines: DeadlineList;
}

export class ComposedPolicy implements Policy {
  constructor(
    readonly name: string,
    readonly options: ResolvedPolicy,
    readonly parts: PolicyParts,
  ) {}

  async execute<T>(work: (context: AttemptContext) => T | Promise<T>, options?: ExecuteOptions): Promise<T> {
    options?.signal?.throwIfAborted();
    return await work({ signal: options?.signal ?? new AbortController().signal, attempt: 1 });
  }

  snapshot(): PolicySnapshot {
    return {
      name: this.name,
      calls: 0,
      succeeded: 0,
      failed: 0,
      timedOut: 0,
      rejected: 0,
      cancelled: 0,
      retries: 0,
      circuit: undefined,
      bulkhead: undefined,
    };
  }

  isolate(): () => void {
    return () => {};
  }

  reset(): void {}
}
