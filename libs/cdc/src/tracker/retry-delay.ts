import { backoffDelayMs, type BackoffOptions, type Random } from '@smartpulse/resilience';
import type { FailureKind } from '../source/change.source.js';

/** A server that asks for patience gets it. */
const OVERLOAD_INITIAL_MS = 10_000;
/** Nothing changes before somebody changes something: a login that is tried in a tight loop may be locked. */
const CONFIGURATION_MS = 60_000;
/** Losers of a deadlock start again at once, a little apart from one another. */
const CONTENTION_MS = 50;
const CONTENTION_ATTEMPTS = 3;

/**
 * How long to wait before the next attempt, in milliseconds.
 *
 * @param attempts failed ones in a row, this one included.
 */
export function retryDelayMs(
  kind: FailureKind,
  attempts: number,
  errorBackoff: BackoffOptions,
  random: Random,
): number {
  if (kind === 'configuration') {
    const fixed = { initialMs: CONFIGURATION_MS, multiplier: 1, maxMs: CONFIGURATION_MS, jitter: 'equal' } as const;
    return backoffDelayMs(fixed, attempts, random);
  }
  if (kind === 'overload') {
    const initialMs = Math.max(OVERLOAD_INITIAL_MS, errorBackoff.initialMs);
    const patient = { ...errorBackoff, initialMs, maxMs: Math.max(initialMs, errorBackoff.maxMs) };
    return backoffDelayMs(patient, attempts, random);
  }
  if (kind === 'contention') {
    return attempts <= CONTENTION_ATTEMPTS
      ? CONTENTION_MS * random.next()
      : backoffDelayMs(errorBackoff, attempts - CONTENTION_ATTEMPTS, random);
  }
  return backoffDelayMs(errorBackoff, attempts, random);
}
