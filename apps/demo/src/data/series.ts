/** Length of one interval of every series. */
export const INTERVAL_MS = 15 * 60_000;

/** Power in hundredths of a megawatt: whole numbers, so that sums are exact. */
export type CentiMegawatts = number;

/** One quarter of an hour of a region. */
export interface SeriesInterval {
  /** Begin in milliseconds since the Unix epoch. */
  readonly startMs: number;
  readonly forecast: CentiMegawatts;
  readonly actual: CentiMegawatts;
}

/** A month of one region and technology, gapless, in order of time. */
export interface RegionSeries {
  readonly zone: string;
  readonly technology: string;
  readonly intervals: readonly SeriesInterval[];
}
