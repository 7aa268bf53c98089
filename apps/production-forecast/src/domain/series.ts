/**
 * Who a value comes from. `Measured` is metered production: it has the shape, key and rules of a forecast, so it is stored as one more
 * provider and not in a table of its own.
 */
export const PROVIDERS = Object.freeze(['FinalForecast', 'UserForecast', 'ForecastImport', 'Measured'] as const);

/** What a value is about: a plant, a company, a group. */
export const UNIT_TYPES = Object.freeze(['PP', 'CMP', 'GRP'] as const);

/** A provider of values. */
export type Provider = (typeof PROVIDERS)[number];

/** A kind of unit. */
export type UnitType = (typeof UNIT_TYPES)[number];

/** One row of values over time: a unit as one provider sees it. */
export interface Series {
  readonly provider: Provider;
  readonly unitType: UnitType;
  readonly unitNo: number;
}
