import type { CentiMegawatts, RegionSeries } from './series.js';

/** One generating unit: a fixed share of its region. */
export interface Unit {
  /** The unit's number as it stands in paths and keys: 1 to the number of units. */
  readonly unitNo: number;
  readonly region: RegionSeries;
  /** Its place among the units of the region. */
  readonly index: number;
}

/** A region and the units that it is split into. */
export interface RegionUnits {
  readonly region: RegionSeries;
  readonly units: readonly Unit[];
  /** Aligned with `units`, in ten-thousandths: they sum to 10,000. */
  readonly shares: readonly number[];
}

const WHOLE = 10_000;

/**
 * Spreads `count` units over the regions as evenly as possible; within a region the shares fall from the first unit (about twice the mean) to
 * the last.
 */
export function splitUnits(regions: readonly RegionSeries[], count: number): readonly RegionUnits[] {
  let unitNo = 0;
  return regions.map((region, position) => {
    const size = Math.floor(count / regions.length) + (position < count % regions.length ? 1 : 0);
    const weights = Array.from({ length: size }, (_, index) => 2 * size - index);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const shares = weights.map((weight) => Math.floor((weight * WHOLE) / total));
    shares[size - 1] = WHOLE - shares.slice(0, -1).reduce((sum, share) => sum + share, 0);
    const units = shares.map((_, index) => ({ unitNo: (unitNo += 1), region, index }));
    return { region, units, shares };
  });
}

/** Splits a region's power among its units in whole hundredths; the last unit takes the remainder, so the sum is exact. */
export function splitPower(total: CentiMegawatts, shares: readonly number[]): readonly CentiMegawatts[] {
  const parts = shares.map((share) => Math.floor((total * share) / WHOLE));
  const last = parts.length - 1;
  parts[last] = total - parts.slice(0, last).reduce((sum, part) => sum + part, 0);
  return parts;
}
