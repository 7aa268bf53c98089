import { checkOptions } from '@smartpulse/resilience';
import { z } from 'zod';
import type { DrainOptions } from './drain-report.js';

/** The longest time that a timer of the platform can wait, in milliseconds: a longer one would fire at once. */
export const MAX_TIMER_MS = 2_147_483_647;

const drainOptionsSchema = z.strictObject({
  timeoutMs: z
    .number('expected milliseconds as a number')
    .min(0, 'expected 0 or more milliseconds')
    .max(MAX_TIMER_MS, `expected at most ${MAX_TIMER_MS} milliseconds`)
    .optional(),
  signal: z.instanceof(AbortSignal, { message: 'expected an AbortSignal' }).optional(),
});

/** @throws ConfigurationError when `options` are no drain options. */
export function checkDrainOptions(owner: string, options: DrainOptions): void {
  checkOptions(`${owner}.drain`, drainOptionsSchema, options);
}
