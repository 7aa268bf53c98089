import { z } from 'zod';
import { parseRequest } from '../http/problem/parse-request.js';
import { ALLOWED_PERIODS } from '../domain/delivery.js';
import { MINUTE_MS } from '../domain/instant.js';
import { type Series } from '../domain/series.js';
import { instant } from '../http/instant.schema.js';
import { type LatestQuery } from './representation.js';

/** One answer covers at most this many days. */
export const MAX_LATEST_DAYS = 31;

const resolutions = ALLOWED_PERIODS.map(String);

const latestParams = z
  .strictObject({
    from: instant,
    to: instant,
    resolution: z
      .string()
      .refine(
        (text) => resolutions.includes(text),
        `expected ${resolutions.join(', ')} (minutes), or leave it out for the stored period`,
      )
      .transform(Number)
      .optional(),
  })
  .superRefine(({ from, to, resolution }, context) => {
    const fail = (path: string, code: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message, params: { code } });
    if (to <= from) {
      fail('to', 'EmptyRange', 'expected an instant after from');
    } else if (to - from > MAX_LATEST_DAYS * 24 * 60 * MINUTE_MS) {
      fail('to', 'RangeTooLong', `expected at most ${MAX_LATEST_DAYS} days after from`);
    }
    for (const [name, ms] of [
      ['from', from],
      ['to', to],
    ] as const) {
      if (ms % ((resolution ?? 1) * MINUTE_MS) !== 0) {
        fail(name, 'NotAligned', `expected a multiple of ${resolution ?? 1} minutes`);
      }
    }
  });

/**
 * Reads the question of `latest`.
 *
 * @throws RequestRefusedError (400) with field details.
 */
export function parseLatestQuery(series: Series, query: unknown): LatestQuery {
  const { from, to, resolution } = parseRequest(latestParams, query, '');
  return { series, fromMs: from, toMs: to, resolutionMinutes: resolution };
}
