import { defineEvent } from '@smartpulse/pulsar';
import { z } from 'zod';

/** A hole in a series: consecutive deliveries that are not stored. */
export const forecastGap = z.object({
  /** Begin of the hole, UTC text. */
  from: z.string(),
  /** End of the hole, exclusive, UTC text. */
  to: z.string(),
});

/** A hole in a series. */
export type ForecastGap = z.infer<typeof forecastGap>;

/** What is said when a request's forecasts are committed. */
export const forecastComputedEvent = z.object({
  /** The request; also identifies the event, which may come more than once. */
  batchId: z.string(),
  provider: z.string(),
  unitType: z.string(),
  unitNo: z.number().int(),
  /** Begin of the first saved delivery, UTC text. */
  from: z.string(),
  /** End of the last saved delivery, exclusive, UTC text. */
  to: z.string(),
  /** Rows that were written. */
  saved: z.number().int(),
  /** Rows that were there already with the same value. */
  skipped: z.number().int(),
  /** The first holes between `from` and `to` in the series as committed; at most 20 are listed. */
  gaps: z.array(forecastGap),
  /** Minutes between `from` and `to` for which the series has no delivery. */
  missingMinutes: z.number().int(),
  /** When the request was committed, UTC text. */
  computedAt: z.string(),
});

/** A request's forecasts are committed. */
export type ForecastComputed = z.infer<typeof forecastComputedEvent>;

/**
 * The event `forecast-computed`: written to a tracked outbox table in the transaction of the forecasts, so it is never lost and never told
 * of something that was rolled back. Delivered at least once: `batchId` tells repetitions apart.
 */
export const forecastComputed = defineEvent<ForecastComputed>({
  name: 'forecast-computed',
  topic: 'forecast-computed',
  schema: forecastComputedEvent,
  key: (event) => `${event.provider}/${event.unitType}/${event.unitNo}`,
  version: 1,
});
