import type { Clock } from '../clock/clock.js';
import type { Random } from '../random/random.js';
import { CircuitOpenError, PolicyTimeoutError } from '../resilience.errors.js';
import { backoffDelayMs } from '../retry/backoff.js';
import { noteAttempts } from './attempts.js';
import { Bulkhead } from './bulkhead.js';
import { Attempt, Call } from './call.js';
import { Circuit, type CircuitVote } from './circuit.js';
import type { DeadlineList } from './deadline-list.js';
import { classify } from './error-class.js';
import type { AttemptContext, ExecuteOptions, Policy, PolicySnapshot } from './policy.js';
import type { ResolvedPolicy } from './resolve-policy.js';
import { RetryBudget } from './retry-budget.js';
import type { RetryWaits } from './retry-waits.js';

/** What a policy takes from its registry. */
export interface PolicyParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlines: DeadlineList;
  readonly waits: RetryWaits;
}

type Work<T> = (context: AttemptContext) => T | Promise<T>;

/** One call's place in its retries. */
interface Progress {
  /** Runs that were begun. */
  runs: number;
  /** The generation of the circuit that has counted a failure of this call already. */
  voted: number | undefined;
  /** The last error of the work itself. */
  failure: { readonly error: unknown } | undefined;
}

/** Total timeout → bulkhead → retry → breaker → attempt timeout → work. */
export class ComposedPolicy implements Policy {
  readonly #circuit: Circuit | undefined;
  readonly #bulkhead: Bulkhead | undefined;
  readonly #budget: RetryBudget | undefined;
  readonly #counts = { calls: 0, succeeded: 0, failed: 0, timedOut: 0, rejected: 0, cancelled: 0, retries: 0 };

  constructor(
    readonly name: string,
    private readonly options: ResolvedPolicy,
    private readonly parts: PolicyParts,
  ) {
    const { breaker, bulkhead, retry } = options;
    this.#circuit = breaker && new Circuit(name, breaker, parts.clock, parts.random);
    this.#bulkhead = bulkhead && new Bulkhead(name, bulkhead);
    this.#budget = retry?.budget && new RetryBudget(retry.budget, parts.clock);
  }

  async execute<T>(work: Work<T>, options?: ExecuteOptions): Promise<T> {
    const { totalTimeoutMs } = this.options;
    const endMs =
      totalTimeoutMs === undefined ? Number.POSITIVE_INFINITY : this.parts.clock.monotonic() + totalTimeoutMs;
    const call = new Call(this.name, options?.signal, totalTimeoutMs, endMs, this.parts.deadlines);
    let placed = false;
    this.#counts.calls += 1;
    this.#budget?.deposit();
    try {
      call.throwIfInterrupted();
      await this.#bulkhead?.acquire(call);
      placed = true;
      const value = await this.#repeat(work, call);
      this.#counts.succeeded += 1;
      return value;
    } catch (error) {
      this.#countEnd(error, call);
      throw error;
    } finally {
      call.end();
      if (placed) {
        this.#bulkhead?.release();
      }
    }
  }

  snapshot(): PolicySnapshot {
    return {
      name: this.name,
      ...this.#counts,
      circuit: this.#circuit?.snapshot(),
      bulkhead: this.#bulkhead && { active: this.#bulkhead.active, waiting: this.#bulkhead.waiting },
    };
  }

  isolate(): () => void {
    return this.#circuit?.isolate() ?? ((): void => {});
  }

  reset(): void {
    this.#circuit?.reset();
  }

  async #repeat<T>(work: Work<T>, call: Call): Promise<T> {
    const progress: Progress = { runs: 0, voted: undefined, failure: undefined };
    for (;;) {
      try {
        return await this.#guarded(work, call, progress);
      } catch (error) {
        const delayMs = this.#delayBeforeRetry(error, call, progress);
        if (delayMs === undefined) {
          throw this.#lastError(error, call, progress);
        }
        progress.failure = { error };
        try {
          await this.#sleep(delayMs, call, error);
        } catch (interruption) {
          throw this.#lastError(interruption, call, progress);
        }
        this.#counts.retries += 1;
      }
    }
  }

  /** One run under the circuit. The permit goes back whatever happens, also when a predicate of the user throws. */
  async #guarded<T>(work: Work<T>, call: Call, progress: Progress): Promise<T> {
    call.throwIfInterrupted();
    const permit = this.#circuit?.admit();
    let vote: CircuitVote = 'ignored';
    progress.runs += 1;
    try {
      const value = await this.#run(work, call, progress.runs);
      vote = 'succeeded';
      return value;
    } catch (error) {
      if (permit !== undefined && this.#isFailure(error, call)) {
        const repeated = this.options.breaker?.voteOn === 'call' && progress.voted === permit.generation;
        vote = repeated ? 'ignored' : 'failed';
        progress.voted = permit.generation;
      }
      throw error;
    } finally {
      if (permit !== undefined) {
        this.#circuit?.settle(permit, vote);
      }
    }
  }

  /** One run within its time. It ends for us when it is interrupted, even if the work does not listen to its signal. */
  #run<T>(work: Work<T>, call: Call, number: number): T | Promise<T> {
    const attempt = new Attempt(number);
    const { attemptTimeoutMs } = this.options;
    if (attemptTimeoutMs === undefined && !call.interruptible) {
      return work(attempt);
    }
    return new Promise<T>((resolve, reject) => {
      let ended = false;
      let dropDeadline: (() => void) | undefined;
      // Whoever ends the run first lets go of the call: by the time a late result comes, it may be in another run.
      const end = (settle: () => void): void => {
        if (!ended) {
          ended = true;
          call.listen(undefined);
          dropDeadline?.();
          settle();
        }
      };
      const cut = (reason: unknown): void =>
        end(() => {
          attempt.abort(reason);
          reject(reason);
        });
      call.listen(({ reason }) => cut(reason));
      if (attemptTimeoutMs !== undefined) {
        dropDeadline = this.parts.deadlines.add(attemptTimeoutMs, {
          expire: () => cut(new PolicyTimeoutError(this.name, 'attempt', attemptTimeoutMs)),
        });
      }
      // In a promise of its own, so that work which throws at once takes the same way.
      new Promise<T>((begin) => begin(work(attempt))).then(
        (value) => end(() => resolve(value)),
        (error: unknown) => end(() => reject(error)),
      );
    });
  }

  /** `undefined`: no further run. */
  #delayBeforeRetry(error: unknown, call: Call, progress: Progress): number | undefined {
    const { retry } = this.options;
    if (
      retry === undefined ||
      this.parts.waits.closed ||
      call.interruption !== undefined ||
      progress.runs > retry.maxRetries
    ) {
      return undefined;
    }
    if (classify(error) !== 'trouble' || retry.retryIf?.(error) === false) {
      return undefined;
    }
    const delayMs = retry.retryAfterMs?.(error) ?? backoffDelayMs(retry, progress.runs, this.parts.random);
    const inTime = this.parts.clock.monotonic() + delayMs < call.endMs;
    return inTime && this.#budget?.withdraw() !== false ? delayMs : undefined;
  }

  /** Cut at once by an interruption, or with the work's own error when the app stops; the work does not run again then. */
  #sleep(delayMs: number, call: Call, failure: unknown): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const end = (settle: () => void): void => {
        timer.cancel();
        call.listen(undefined);
        forget();
        settle();
      };
      const timer = this.parts.clock.setTimer(delayMs, () => end(resolve));
      const forget = this.parts.waits.add(() => end(() => reject(failure)));
      call.listen(({ reason }) => end(() => reject(reason)));
    });
  }

  #isFailure(error: unknown, call: Call): boolean {
    if (call.interruption?.kind === 'cancelled') {
      return false;
    }
    const kind = classify(error);
    return kind === 'trouble' && this.options.breaker?.failureIf?.(error) !== false;
  }

  /** What the caller gets: the work's own last error rather than the refusal of a further run; a time-out carries it as its cause. */
  #lastError(error: unknown, call: Call, { runs, failure }: Progress): unknown {
    let last = error;
    if (failure !== undefined && CircuitOpenError.is(error)) {
      last = failure.error;
    } else if (failure !== undefined && call.interruption?.kind === 'timedOut' && PolicyTimeoutError.is(error)) {
      last = new PolicyTimeoutError(error.policy, error.scope, error.timeoutMs, failure.error);
    }
    if (call.interruption?.kind !== 'cancelled') {
      noteAttempts(last, runs);
    }
    return last;
  }

  #countEnd(error: unknown, call: Call): void {
    if (call.interruption?.kind === 'cancelled') {
      this.#counts.cancelled += 1;
    } else if (PolicyTimeoutError.is(error)) {
      this.#counts.timedOut += 1;
    } else if (classify(error) === 'refused') {
      this.#counts.rejected += 1;
    } else {
      this.#counts.failed += 1;
    }
  }
}
