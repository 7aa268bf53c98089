import { createHash } from 'node:crypto';
import { type Delivery } from '../domain/delivery.js';
import { fromHundredths } from '../domain/hundredths.js';
import { formatInstant } from '../domain/instant.js';
import { type AggregatedDelivery } from '../domain/resolution.js';
import { type Series } from '../domain/series.js';

/** What `latest` is asked about: deliveries of a series that begin in a range. */
export interface LatestQuery {
  readonly series: Series;
  readonly fromMs: number;
  /** Exclusive. */
  readonly toMs: number;
  /** Minutes; `undefined` = as stored. */
  readonly resolutionMinutes: number | undefined;
}

/** A body and its validator. */
export interface Representation {
  readonly body: string;
  /** Strong: the hash of the body, quoted. */
  readonly etag: string;
}

/**
 * Writes the answer of `latest`. The text depends on nothing but the question and the values, so equal values have equal ETags on every
 * replica and after every restart, and a save that changes nothing keeps them.
 */
export function represent(query: LatestQuery, deliveries: readonly (Delivery | AggregatedDelivery)[]): Representation {
  const body = JSON.stringify({
    ...query.series,
    from: formatInstant(query.fromMs),
    to: formatInstant(query.toMs),
    resolution: query.resolutionMinutes ?? null,
    unit: 'MW',
    forecasts: deliveries.map((delivery) => ({
      deliveryStart: formatInstant(delivery.startMs),
      deliveryEnd: formatInstant(delivery.endMs),
      value: fromHundredths(delivery.hundredths),
      ...('complete' in delivery ? { complete: delivery.complete } : {}),
    })),
  });
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` };
}
