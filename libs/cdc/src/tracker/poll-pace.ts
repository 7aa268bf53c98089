import type { Random } from '@smartpulse/resilience';

/** How often to poll when nothing says otherwise, in milliseconds. */
export interface PaceOptions {
  readonly minIntervalMs: number;
  readonly maxIntervalMs: number;
}

const GROWTH = 1.5;
const JITTER = 0.2;

/**
 * When the next poll begins: soon after something moved, later and later while nothing does, at once after a nudge. A nudge that comes
 * while a poll runs is remembered, because that poll may have looked before the writer's commit.
 */
export class PollPace {
  readonly #options: PaceOptions;
  readonly #random: Random;
  #intervalMs: number;
  #nudged = false;
  #wake: (() => void) | undefined;

  constructor(options: PaceOptions, random: Random) {
    this.#options = options;
    this.#random = random;
    this.#intervalMs = options.minIntervalMs;
  }

  /** Another poll follows; nudges before it begins count as one. */
  nudge(): void {
    this.#nudged = true;
    this.#wake?.();
  }

  /**
   * A poll begins: it covers every nudge up to now.
   *
   * @returns whether there was one: what was read before it does not count then.
   */
  begin(): boolean {
    const nudged = this.#nudged;
    this.#nudged = false;
    return nudged;
  }

  /** The poll found something. */
  moved(): void {
    this.#intervalMs = this.#options.minIntervalMs;
  }

  /** The poll found nothing. */
  idled(): void {
    this.#intervalMs = Math.min(this.#options.maxIntervalMs, this.#intervalMs * GROWTH);
  }

  /** The next wait in milliseconds, ±20 % but never outside the two limits, so that replicas and tables spread out. */
  nextDelayMs(): number {
    const spread = this.#intervalMs * (1 - JITTER + 2 * JITTER * this.#random.next());
    return Math.min(this.#options.maxIntervalMs, Math.max(this.#options.minIntervalMs, spread));
  }

  /**
   * Resolves at a nudge, when `signal` aborts, or when what it waits for wakes it; leaves no listener.
   *
   * @param listen begins what it waits for, is told how to end the wait, and answers how to end that.
   */
  async wait(signal: AbortSignal, listen: (wake: () => void) => () => void): Promise<void> {
    if (this.#nudged || signal.aborted) {
      return;
    }
    await new Promise<void>((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        unlisten();
        this.#wake = undefined;
        resolve();
      };
      const unlisten = listen(done);
      signal.addEventListener('abort', done, { once: true });
      this.#wake = done;
    });
  }
}
