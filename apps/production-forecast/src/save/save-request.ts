import { z } from 'zod';
import { invalidRequest, parseRequest } from '../http/problem/parse-request.js';
import { RequestRefusedError } from '../http/problem/problem-details.js';
import { checkDeliveries, type Delivery, MAX_FORECASTS } from '../domain/delivery.js';
import { toHundredths } from '../domain/hundredths.js';
import { type Series } from '../domain/series.js';
import { type EntityTags } from '../http/entity-tags.js';
import { instant } from '../http/instant.schema.js';

/** The body of a save. */
const saveBody = z.strictObject(
  {
    forecasts: z.array(
      z.strictObject(
        {
          deliveryStart: instant,
          deliveryEnd: instant,
          value: z.number('expected a number of megawatts'),
        },
        'expected deliveryStart, deliveryEnd and value',
      ),
      'expected a list of forecasts',
    ),
  },
  'expected an object with a list of forecasts',
);

/** A checked request to save. */
export interface SaveRequest {
  readonly batchId: string;
  readonly series: Series;
  /** In order, without overlaps, at least one. */
  readonly deliveries: readonly Delivery[];
  /** The condition; `undefined` = none. */
  readonly ifMatch: EntityTags | undefined;
}

/** What became of a request. */
export interface SaveResult {
  readonly batchId: string;
  /** Rows that were written. */
  readonly saved: number;
  /** Rows that were there already with the same value. */
  readonly skipped: number;
}

/**
 * Reads the forecasts of a body, rounded to hundredths of a megawatt and in order.
 *
 * @throws RequestRefusedError: 413 for too many, 400 with field details for anything else that is wrong.
 */
export function parseDeliveries(body: unknown): readonly Delivery[] {
  if (
    typeof body === 'object' &&
    body !== null &&
    'forecasts' in body &&
    Array.isArray(body.forecasts) &&
    body.forecasts.length > MAX_FORECASTS
  ) {
    throw new RequestRefusedError(
      413,
      'too-many-forecasts',
      `A request carries at most ${MAX_FORECASTS} forecasts: split it.`,
    );
  }
  const deliveries = parseRequest(saveBody, body, '#/').forecasts.map((forecast) => ({
    startMs: forecast.deliveryStart,
    endMs: forecast.deliveryEnd,
    hundredths: toHundredths(forecast.value),
  }));
  const problems = checkDeliveries(deliveries);
  if (problems.length > 0) {
    throw invalidRequest(problems);
  }
  return deliveries.sort((a, b) => a.startMs - b.startMs);
}
