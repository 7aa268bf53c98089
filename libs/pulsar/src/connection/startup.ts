import { backoffDelayMs, type BackoffOptions, type Clock, type Random } from '@smartpulse/resilience';

/** Waits between two attempts to come to the broker, at start and later. */
export const RECONNECT_BACKOFF: BackoffOptions = Object.freeze({
  initialMs: 100,
  multiplier: 2,
  maxMs: 30_000,
  jitter: 'full',
});

/** What {@link tryWithin} needs. */
export interface StartAttempts {
  readonly clock: Clock;
  readonly random: Random;
  /** No attempt begins later than so long after the first, milliseconds. */
  readonly timeoutMs: number;
  /** Whether it is still wanted. */
  readonly isWanted: () => boolean;
  readonly onFailed: (error: unknown, attempt: number) => void;
}

/**
 * Tries until it succeeds, with growing waits, or the time is used up.
 *
 * @throws what the last attempt threw.
 */
export async function tryWithin(attempts: StartAttempts, work: () => Promise<void>): Promise<void> {
  const { clock, random, timeoutMs, isWanted, onFailed } = attempts;
  const startMs = clock.monotonic();
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const delayMs = backoffDelayMs(RECONNECT_BACKOFF, attempt, random);
      if (!isWanted() || clock.monotonic() - startMs + delayMs > timeoutMs) {
        throw error;
      }
      onFailed(error, attempt);
      await clock.sleep(delayMs);
    }
  }
}
