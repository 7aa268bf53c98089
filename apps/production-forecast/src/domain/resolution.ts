import { type Delivery, periodMinutes } from './delivery.js';
import { divideRounded } from './hundredths.js';
import { MINUTE_MS } from './instant.js';

/** A delivery at another resolution. */
export interface AggregatedDelivery extends Delivery {
  /** `false`: the series has no value for a part of it; the mean is over the rest. */
  readonly complete: boolean;
}

/** A series cannot be shown at the resolution that was asked for. */
export interface ResolutionTooFine {
  /** The stored period that does not divide the resolution, in minutes. */
  readonly storedMinutes: number;
}

/**
 * Shows deliveries at a coarser resolution: the mean of the power, weighted by time, over buckets that begin at multiples of the resolution
 * in UTC, rounded to hundredths half away from zero. Energy is kept up to that rounding; nothing is interpolated, so the resolution must be
 * a multiple of every stored period.
 *
 * @param deliveries in order, without overlaps.
 */
export function aggregate(
  deliveries: readonly Delivery[],
  resolutionMinutes: number,
): readonly AggregatedDelivery[] | ResolutionTooFine {
  const bucketMs = resolutionMinutes * MINUTE_MS;
  const buckets: AggregatedDelivery[] = [];
  let open: { startMs: number; minutes: number; weighted: number } | undefined;
  const close = (): void => {
    if (open !== undefined) {
      const { startMs, minutes, weighted } = open;
      buckets.push({
        startMs,
        endMs: startMs + bucketMs,
        hundredths: divideRounded(weighted, minutes),
        complete: minutes === resolutionMinutes,
      });
    }
  };
  for (const delivery of deliveries) {
    const minutes = periodMinutes(delivery);
    if (resolutionMinutes % minutes !== 0) {
      return { storedMinutes: minutes };
    }
    const startMs = Math.floor(delivery.startMs / bucketMs) * bucketMs;
    if (open?.startMs !== startMs) {
      close();
      open = { startMs, minutes: 0, weighted: 0 };
    }
    open.minutes += minutes;
    open.weighted += delivery.hundredths * minutes;
  }
  close();
  return buckets;
}
