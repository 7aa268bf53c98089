import type { Random } from '../random/random.js';

/**
 * How chance spreads a delay `d`. `none`: exactly `d`. `equal`: from `d/2` to `d`, keeps a useful minimum. `full`: from 0 to `d`, for
 * very large fleets.
 */
export type BackoffJitter = 'none' | 'equal' | 'full';

/** A row of growing delays; `multiplier: 1` makes them a fixed interval. */
export interface BackoffOptions {
  /** The delay before the first retry, in milliseconds. */
  readonly initialMs: number;
  /** What every further delay is multiplied by; 1 or more. */
  readonly multiplier: number;
  /** No delay is longer, in milliseconds. */
  readonly maxMs: number;
  readonly jitter: BackoffJitter;
}

const FIXED_SHARE = Object.freeze({ equal: 0.5, full: 0 });
const CHANCE_SHARE = Object.freeze({ equal: 0.5, full: 1 });

/** 100 ms, doubled every time, at most 30 s, equal jitter. */
export const BACKOFF_DEFAULTS: Readonly<BackoffOptions> = Object.freeze({
  initialMs: 100,
  multiplier: 2,
  maxMs: 30_000,
  jitter: 'equal',
});

/**
 * The delay before a retry, in milliseconds.
 *
 * @param attempt which retry it is; 1 is the first one.
 * @example
 * ```ts
 * backoffDelayMs({ initialMs: 100, multiplier: 2, maxMs: 30_000, jitter: 'none' }, 3, random); // 400
 * ```
 */
export function backoffDelayMs(options: BackoffOptions, attempt: number, random: Random): number {
  // The power overflows to Infinity for large attempts; the cap takes care of it.
  const exponent = Math.max(0, attempt - 1);
  const delayMs = Math.min(options.maxMs, options.initialMs * options.multiplier ** exponent);
  return options.jitter === 'none'
    ? delayMs
    : delayMs * (FIXED_SHARE[options.jitter] + CHANCE_SHARE[options.jitter] * random.next());
}
