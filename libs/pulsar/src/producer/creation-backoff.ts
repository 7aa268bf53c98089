import type { Clock } from '@smartpulse/resilience';
import { PulsarError } from '../pulsar.errors.js';

interface Pause {
  readonly failures: number;
  readonly untilMs: number;
  readonly error: PulsarError;
}

/** After the second refusal in a row; doubled by each further one. */
const FIRST_MS = 100;
const LONGEST_MS = 5_000;

/**
 * Producers that the broker refuses again and again are not asked for by each publish: an app that publishes 1,000 times a second to a topic that it
 * lost the right to would ask as often as the broker can answer. One refusal costs nothing: whoever mends its cause may publish at once. What passes
 * by itself is not counted, since a transport takes its own time over that.
 */
export class CreationBackoff {
  /** The longest unchanged first. */
  readonly #pauses = new Map<string, Pause>();

  /** @param max how many are remembered. */
  constructor(
    private readonly clock: Clock,
    private readonly max: number,
  ) {}

  /** What the broker said the last time, while it is not to be asked again. */
  refusal(key: string): PulsarError | undefined {
    const pause = this.#pauses.get(key);
    return pause !== undefined && this.clock.monotonic() < pause.untilMs ? pause.error : undefined;
  }

  failed(key: string, error: unknown): void {
    if (!PulsarError.is(error) || error.kind === 'transient' || error.kind === 'backpressure') {
      return;
    }
    const failures = (this.#pauses.get(key)?.failures ?? 0) + 1;
    const pauseMs = failures === 1 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 2, 31));
    this.made(key);
    const [oldest] = this.#pauses.keys();
    if (oldest !== undefined && this.#pauses.size >= this.max) {
      this.#pauses.delete(oldest);
    }
    this.#pauses.set(key, { failures, untilMs: this.clock.monotonic() + pauseMs, error });
  }

  made(key: string): void {
    this.#pauses.delete(key);
  }
}
