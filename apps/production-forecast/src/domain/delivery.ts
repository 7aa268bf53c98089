import { MINUTE_MS } from './instant.js';

/** Lengths of a delivery in minutes; also the resolutions that can be asked for. */
export const ALLOWED_PERIODS = Object.freeze([5, 10, 15, 30, 60] as const);

/** A request may carry this many forecasts. */
export const MAX_FORECASTS = 5_000;

/** A request may span this many days from its first to its last delivery. */
export const MAX_SPAN_DAYS = 366;

/** Above this many megawatts a value is a mistake of unit, not a forecast. */
export const MAX_MEGAWATTS = 100_000;

/** Mean power over one delivery. */
export interface Delivery {
  /** Milliseconds since the Unix epoch. */
  readonly startMs: number;
  /** Exclusive. */
  readonly endMs: number;
  /** Hundredths of a megawatt. */
  readonly hundredths: number;
}

/** Why a delivery is refused. */
export type DeliveryCode =
  | 'NoPredictions'
  | 'LowerLimit'
  | 'UpperLimit'
  | 'EmptyDelivery'
  | 'PeriodNotAllowed'
  | 'NotAligned'
  | 'DuplicateDeliveries'
  | 'OverlappingDeliveries'
  | 'RangeTooLong';

/** One thing that is wrong with a request's deliveries. */
export interface DeliveryProblem {
  /** JSON pointer to the item of the request, or to a field of it. */
  readonly pointer: string;
  readonly code: DeliveryCode;
  /** What is expected. */
  readonly detail: string;
}

/**
 * Checks a request's deliveries against each other and against the rules of the market: none of them is stored if any of them is wrong.
 *
 * @returns everything that is wrong, by the item's place in the request; empty when all is well.
 */
export function checkDeliveries(deliveries: readonly Delivery[]): readonly DeliveryProblem[] {
  if (deliveries.length === 0) {
    return [{ pointer: '#/forecasts', code: 'NoPredictions', detail: 'expected at least one forecast' }];
  }
  const problems = deliveries.flatMap((delivery, index) => [...checkAlone(delivery, index)]);
  return problems.length > 0 ? problems : [...checkTogether(deliveries)];
}

/** Length of a delivery in minutes. */
export function periodMinutes({ startMs, endMs }: Pick<Delivery, 'startMs' | 'endMs'>): number {
  return (endMs - startMs) / MINUTE_MS;
}

/** Whether `minutes` is a length that a delivery may have. */
export function isAllowedPeriod(minutes: number): boolean {
  return ALLOWED_PERIODS.some((allowed) => allowed === minutes);
}

function* checkAlone(delivery: Delivery, index: number): Iterable<DeliveryProblem> {
  const at = `#/forecasts/${index}`;
  if (delivery.hundredths < 0) {
    yield { pointer: `${at}/value`, code: 'LowerLimit', detail: 'expected 0 MW or more' };
  }
  if (delivery.hundredths > MAX_MEGAWATTS * 100) {
    yield { pointer: `${at}/value`, code: 'UpperLimit', detail: `expected at most ${MAX_MEGAWATTS} MW` };
  }
  if (delivery.endMs <= delivery.startMs) {
    yield { pointer: `${at}/deliveryEnd`, code: 'EmptyDelivery', detail: 'expected an instant after deliveryStart' };
    return;
  }
  const period = periodMinutes(delivery);
  if (!isAllowedPeriod(period)) {
    yield {
      pointer: `${at}/deliveryEnd`,
      code: 'PeriodNotAllowed',
      detail: `expected a delivery of ${ALLOWED_PERIODS.join(', ')} minutes`,
    };
  } else if (delivery.startMs % (period * MINUTE_MS) !== 0) {
    yield {
      pointer: `${at}/deliveryStart`,
      code: 'NotAligned',
      detail: `expected a multiple of ${period} minutes, the length of the delivery`,
    };
  }
}

function* checkTogether(deliveries: readonly Delivery[]): Iterable<DeliveryProblem> {
  const byStart = deliveries
    .map((delivery, index) => ({ delivery, index }))
    .sort((a, b) => a.delivery.startMs - b.delivery.startMs || a.index - b.index);
  let latest = byStart[0];
  for (const current of byStart.slice(1)) {
    if (latest === undefined) {
      return;
    }
    const pointer = `#/forecasts/${current.index}/deliveryStart`;
    if (current.delivery.startMs === latest.delivery.startMs) {
      yield { pointer, code: 'DuplicateDeliveries', detail: `item ${latest.index} begins at the same instant` };
    } else if (current.delivery.startMs < latest.delivery.endMs) {
      yield { pointer, code: 'OverlappingDeliveries', detail: `overlaps item ${latest.index}` };
    }
    if (current.delivery.endMs > latest.delivery.endMs) {
      latest = current;
    }
  }
  const first = byStart[0];
  if (
    first !== undefined &&
    latest !== undefined &&
    latest.delivery.endMs - first.delivery.startMs > MAX_SPAN_DAYS * 24 * 60 * MINUTE_MS
  ) {
    yield { pointer: '#/forecasts', code: 'RangeTooLong', detail: `expected deliveries within ${MAX_SPAN_DAYS} days` };
  }
}
