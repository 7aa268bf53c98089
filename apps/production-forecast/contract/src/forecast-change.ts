import { defineChange } from '@smartpulse/data-sync';
import { z } from 'zod';

/** An instant as it is stored and sent: UTC, milliseconds, so that one instant has one text. */
const utcInstant = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/, 'expected UTC with milliseconds, 2026-01-31T23:45:00.000Z');

/**
 * The latest forecast of one delivery, as its row stands in the table `dbo.forecast`.
 *
 * The period belongs to the row, not to the key: a delivery that is saved anew replaces the row that begins at the same instant, and no two
 * rows of a series ever overlap.
 */
export const forecastRow = z.object({
  provider: z.string(),
  unitType: z.string(),
  unitNo: z.number().int(),
  /** Inclusive. */
  deliveryStart: utcInstant,
  /** Exclusive. */
  deliveryEnd: utcInstant,
  /** Length of the delivery in minutes. */
  periodMinutes: z.number().int().positive(),
  /** Mean power over the delivery in hundredths of a megawatt: whole numbers, so that sums are exact. */
  valueHundredths: z.number().int().nonnegative(),
  /** The request that wrote the row. */
  batchId: z.string(),
});

/** The latest forecast of one delivery. */
export type ForecastRow = z.infer<typeof forecastRow>;

/** The columns that name a forecast row. */
export type ForecastKey = Pick<ForecastRow, 'provider' | 'unitType' | 'unitNo' | 'deliveryStart'>;

/**
 * Changes of forecast rows: what ProductionForecast tells others whenever a delivery's latest forecast (or measurement, provider
 * `Measured`) was saved.
 *
 * @example
 * ```ts
 * @OnChange(forecastChange, { subscription: 'notifier' })
 * async handle(changes: KeyChanges<ForecastRow>) { … }
 * ```
 */
export const forecastChange = defineChange({
  name: 'forecast',
  topic: 'forecast-changes',
  primaryKey: ['provider', 'unitType', 'unitNo', 'deliveryStart'],
  schema: forecastRow,
  version: 1,
});
