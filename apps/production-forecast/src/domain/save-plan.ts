import { type ForecastGap } from '@smartpulse/production-forecast-contract';
import { type Delivery } from './delivery.js';
import { formatInstant, MINUTE_MS } from './instant.js';

/** An event lists this many holes; their total length is told in any case. */
const MAX_GAPS = 20;

/** What a save will do, known before anything is written. */
export type SavePlan =
  | {
      readonly kind: 'accepted';
      /** Deliveries that are new or have another value, in order. */
      readonly changed: readonly Delivery[];
      /** Deliveries that are stored already as they are. */
      readonly skipped: number;
      /** Holes of the series between the first and the last delivery of the request, once it is saved. */
      readonly gaps: readonly ForecastGap[];
      readonly missingMinutes: number;
    }
  | {
      readonly kind: 'conflicting';
      /** The first delivery that overlaps a stored one of other bounds. */
      readonly delivery: Delivery;
      readonly stored: Delivery;
    };

/**
 * Compares what shall be saved with what is stored.
 *
 * @param stored every stored delivery that touches the request's range, in order, without overlaps.
 * @param deliveries the request's deliveries, in order, without overlaps, at least one.
 */
export function planSave(stored: readonly Delivery[], deliveries: readonly Delivery[]): SavePlan {
  const changed: Delivery[] = [];
  let skipped = 0;
  let next = 0;
  for (const delivery of deliveries) {
    while ((stored[next]?.endMs ?? Number.POSITIVE_INFINITY) <= delivery.startMs) {
      next += 1;
    }
    const found = stored[next];
    if (found === undefined || found.startMs >= delivery.endMs) {
      changed.push(delivery);
    } else if (found.startMs !== delivery.startMs || found.endMs !== delivery.endMs) {
      return { kind: 'conflicting', delivery, stored: found };
    } else if (found.hundredths === delivery.hundredths) {
      skipped += 1;
    } else {
      changed.push(delivery);
    }
  }
  return { kind: 'accepted', changed, skipped, ...findGaps(stored, deliveries) };
}

function findGaps(
  stored: readonly Delivery[],
  deliveries: readonly Delivery[],
): { readonly gaps: readonly ForecastGap[]; readonly missingMinutes: number } {
  const gaps: ForecastGap[] = [];
  let missingMs = 0;
  let coveredUntilMs = deliveries[0]?.startMs ?? 0;
  const untilMs = deliveries.at(-1)?.endMs ?? 0;
  for (const { startMs, endMs } of mergeByStart(stored, deliveries)) {
    if (startMs >= untilMs) {
      break;
    }
    if (startMs > coveredUntilMs) {
      missingMs += startMs - coveredUntilMs;
      if (gaps.length < MAX_GAPS) {
        gaps.push({ from: formatInstant(coveredUntilMs), to: formatInstant(startMs) });
      }
    }
    coveredUntilMs = Math.max(coveredUntilMs, endMs);
  }
  return { gaps, missingMinutes: missingMs / MINUTE_MS };
}

function* mergeByStart(left: readonly Delivery[], right: readonly Delivery[]): Iterable<Delivery> {
  let inLeft = 0;
  let inRight = 0;
  for (;;) {
    const fromLeft = left[inLeft];
    const fromRight = right[inRight];
    if (fromLeft !== undefined && (fromRight === undefined || fromLeft.startMs <= fromRight.startMs)) {
      inLeft += 1;
      yield fromLeft;
    } else if (fromRight !== undefined) {
      inRight += 1;
      yield fromRight;
    } else {
      return;
    }
  }
}
