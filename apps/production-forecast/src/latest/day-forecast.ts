import { type Delivery } from '../domain/delivery.js';

/** A series' day as the cache holds it: start and end in milliseconds since the Unix epoch, hundredths of a megawatt; in order. */
export interface DayForecast {
  readonly deliveries: readonly (readonly [startMs: number, endMs: number, hundredths: number])[];
}

/** Packs deliveries for the cache. */
export function toDayForecast(deliveries: readonly Delivery[]): DayForecast {
  return { deliveries: deliveries.map(({ startMs, endMs, hundredths }) => [startMs, endMs, hundredths] as const) };
}

/** Unpacks what the cache holds; a day without deliveries is absent there. */
export function fromDayForecast(day: DayForecast | undefined): readonly Delivery[] {
  return (day?.deliveries ?? []).map(([startMs, endMs, hundredths]) => ({ startMs, endMs, hundredths }));
}
