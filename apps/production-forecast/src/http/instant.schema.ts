import { z } from 'zod';
import { parseInstant } from '../domain/instant.js';

/** An instant with offset, read as milliseconds since the Unix epoch. */
export const instant = z
  .string('expected an instant with offset, such as 2026-01-31T23:45:00+03:00')
  .transform((text, context): number => {
    const ms = parseInstant(text);
    if (ms === undefined) {
      context.addIssue({
        code: 'custom',
        message:
          'expected an instant with offset, such as 2026-01-31T23:45:00+03:00 (a local time is refused; in an address the plus is written %2B)',
        params: { code: 'InvalidInstant' },
      });
      return z.NEVER;
    }
    return ms;
  });
