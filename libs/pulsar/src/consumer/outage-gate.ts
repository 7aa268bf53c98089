import { backoffDelayMs, type Clock, type Random, type Timer } from '@smartpulse/resilience';
import type { ConsumerDefaults } from '../pulsar.options.js';

/** What {@link OutageGate.enter} answers: go on; go on and tell how it went; do not begin: the consumer stops, or nobody wants it any more. */
export type GatePass = 'free' | 'test' | 'stopped';

/** What an {@link OutageGate} is made of. */
export interface OutageGateOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly backoff: ConsumerDefaults['backoff'];
  readonly probe: ((signal: AbortSignal) => Promise<void>) | undefined;
  readonly onProbeFailed: (error: unknown, nextMs: number) => void;
  readonly onRecovered: (downMs: number) => void;
}

/**
 * Holds messages back while infrastructure is down. After a growing wait a probe, or one of the messages held back, finds out whether it
 * is back; then all go on.
 */
export class OutageGate {
  readonly #options: OutageGateOptions;
  readonly #abort = new AbortController();
  readonly #held: { readonly isWanted: () => boolean; readonly resolve: (pass: GatePass) => void }[] = [];
  #downSinceMs: number | undefined;
  #attempt = 0;
  #timer: Timer | undefined;
  #testWanted = false;
  #stopped = false;

  constructor(options: OutageGateOptions) {
    this.#options = options;
  }

  /** When infrastructure was found to be down (`Clock.now`), or `undefined` when it is up. */
  get downSinceMs(): number | undefined {
    return this.#downSinceMs;
  }

  /** Whether {@link enter} would hold its caller. */
  get closed(): boolean {
    return this.#downSinceMs !== undefined || this.#stopped;
  }

  /**
   * Waits until infrastructure is up, the caller is the one to test it, or the consumer stops.
   *
   * @param isWanted whether the caller would still run: a test that nobody runs says nothing, and the next one is a longer wait away.
   */
  enter(isWanted: () => boolean): Promise<GatePass> {
    if (this.#stopped) {
      return Promise.resolve('stopped');
    }
    if (this.#downSinceMs === undefined) {
      return Promise.resolve('free');
    }
    if (this.#testWanted) {
      this.#testWanted = false;
      return Promise.resolve('test');
    }
    return new Promise((resolve) => this.#held.push({ isWanted, resolve }));
  }

  /** Infrastructure is down. Answers whether that is news. */
  trip(): boolean {
    if (this.#downSinceMs !== undefined || this.#stopped) {
      return false;
    }
    this.#downSinceMs = this.#options.clock.now();
    this.#attempt = 0;
    this.#schedule();
    return true;
  }

  /** How the test went that a caller was sent to do. */
  tested(up: boolean): void {
    if (up) {
      this.#recover();
    } else {
      this.#schedule();
    }
  }

  /** Lets everybody go with `stopped`; nothing is held any more. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#abort.abort();
    this.#release('stopped');
  }

  #schedule(): void {
    if (this.#stopped) {
      return;
    }
    const { backoff, clock, random } = this.#options;
    this.#attempt++;
    this.#timer = clock.setTimer(this.#delayMs(backoff, random), () => {
      this.#timer = undefined;
      this.#find();
    });
  }

  #delayMs(backoff: ConsumerDefaults['backoff'], random: Random): number {
    return backoffDelayMs(backoff, this.#attempt, random);
  }

  #find(): void {
    const { probe } = this.#options;
    if (probe !== undefined) {
      void this.#probe(probe);
      return;
    }
    for (let first = this.#held.shift(); first !== undefined; first = this.#held.shift()) {
      if (first.isWanted()) {
        first.resolve('test');
        return;
      }
      first.resolve('stopped');
    }
    this.#testWanted = true;
  }

  async #probe(probe: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await probe(this.#abort.signal);
      this.#recover();
    } catch (error) {
      if (!this.#stopped) {
        this.#schedule();
        this.#options.onProbeFailed(error, this.#options.backoff.maxMs);
      }
    }
  }

  #recover(): void {
    if (this.#downSinceMs !== undefined && !this.#stopped) {
      const downMs = this.#options.clock.now() - this.#downSinceMs;
      this.#downSinceMs = undefined;
      this.#testWanted = false;
      this.#options.onRecovered(downMs);
      this.#release('free');
    }
  }

  #release(pass: GatePass): void {
    for (const { resolve } of this.#held.splice(0)) {
      resolve(pass);
    }
  }
}
