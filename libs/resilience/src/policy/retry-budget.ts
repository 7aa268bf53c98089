import type { Clock } from '../clock/clock.js';
import type { ResolvedBudget } from './resolve-policy.js';

/** The token bucket of a policy: calls and time fill it, retries empty it. */
export class RetryBudget {
  #tokens: number;
  #filledMs: number;

  constructor(
    private readonly options: ResolvedBudget,
    private readonly clock: Pick<Clock, 'monotonic'>,
  ) {
    this.#tokens = options.maxTokens;
    this.#filledMs = clock.monotonic();
  }

  /** A call began. */
  deposit(): void {
    this.#add(this.options.tokensPerCall);
  }

  /** Takes what one retry costs; `false` when there is not enough. */
  withdraw(): boolean {
    const nowMs = this.clock.monotonic();
    this.#add(((nowMs - this.#filledMs) / 1_000) * this.options.tokensPerSecond);
    this.#filledMs = nowMs;
    if (this.#tokens < 1) {
      return false;
    }
    this.#tokens -= 1;
    return true;
  }

  #add(tokens: number): void {
    this.#tokens = Math.min(this.options.maxTokens, this.#tokens + tokens);
  }
}
