import { z } from 'zod';
import { timeoutSchema, whole } from '../pulsar.options.js';

/** When a consumer pauses by itself: a kill switch for a handler that does more harm than good. */
export interface PauseOnOptions {
  /** The share of failed handler runs that pauses it, above 0 to 1. Default 0.5. */
  readonly failureRate?: number | undefined;
  /** The last handler runs that are looked at, 1 to 10,000; it never pauses before as many. Of a batch each message counts. Default 100. */
  readonly window?: number | undefined;
  /** How long it pauses before one run tries again, milliseconds. Default 30,000. */
  readonly cooldownMs?: number | undefined;
}

/** {@link PauseOnOptions} with nothing left out. */
export interface PauseOnDefaults {
  readonly failureRate: number;
  readonly window: number;
  readonly cooldownMs: number;
}

/** The defaults of {@link PauseOnOptions}, where it is given at all. */
export const PAUSE_ON_DEFAULTS: PauseOnDefaults = Object.freeze({
  failureRate: 0.5,
  window: 100,
  cooldownMs: 30_000,
});

/** The schema of {@link PauseOnOptions}. */
export const pauseOnSchema = z.strictObject(
  {
    failureRate: z
      .number({ error: 'expected a share above 0, at most 1' })
      .gt(0, { error: 'expected a share above 0' })
      .max(1, { error: 'expected at most 1' })
      .optional(),
    window: whole(1, 10_000, 'handler runs').optional(),
    cooldownMs: timeoutSchema.optional(),
  },
  { error: 'expected { failureRate?, window?, cooldownMs? }' },
);
