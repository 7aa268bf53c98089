import { backoffDelayMs, type BackoffOptions, type Clock, type Random } from '@smartpulse/resilience';
import { PulsarError } from '../pulsar.errors.js';

interface Pause {
  readonly failures: number;
  readonly untilMs: number;
  readonly error: PulsarError;
}

/** From the second refusal in a row. Without jitter: the first publish after it asks again, and those come when they come. */
const BACKOFF: BackoffOptions = Object.freeze({ initialMs: 100, multiplier: 2, maxMs: 5_000, jitter: 'none' });

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
    private readonly random: Random,
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
    const pauseMs = failures === 1 ? 0 : backoffDelayMs(BACKOFF, failures - 1, this.random);
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
