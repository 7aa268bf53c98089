import { describe, expect, it } from 'vitest';
import { checkDeliveries, type Delivery, MAX_MEGAWATTS } from './delivery.js';
import { MINUTE_MS } from './instant.js';

const START = Date.UTC(2026, 0, 31);

function delivery(atMinute: number, minutes: number, hundredths = 100): Delivery {
  const startMs = START + atMinute * MINUTE_MS;
  return { startMs, endMs: startMs + minutes * MINUTE_MS, hundredths };
}

function codes(...deliveries: readonly Delivery[]): readonly string[] {
  return checkDeliveries(deliveries).map(({ pointer, code }) => `${pointer} ${code}`);
}

describe('checkDeliveries', () => {
  it('accepts deliveries of every allowed period side by side, in any order', () => {
    expect(codes(delivery(120, 60), delivery(0, 5), delivery(10, 10), delivery(30, 15), delivery(60, 30))).toEqual([]);
  });

  it.each([
    ['no delivery at all', [], '#/forecasts NoPredictions'],
    ['a value below 0', [delivery(0, 15, -1)], '#/forecasts/0/value LowerLimit'],
    ['a value no plant has', [delivery(0, 15, MAX_MEGAWATTS * 100 + 1)], '#/forecasts/0/value UpperLimit'],
    ['an end before the start', [delivery(15, -15)], '#/forecasts/0/deliveryEnd EmptyDelivery'],
    ['a period of 20 minutes', [delivery(0, 20)], '#/forecasts/0/deliveryEnd PeriodNotAllowed'],
    ['a quarter that begins at five past', [delivery(5, 15)], '#/forecasts/0/deliveryStart NotAligned'],
    ['two with one start', [delivery(0, 15), delivery(0, 15)], '#/forecasts/1/deliveryStart DuplicateDeliveries'],
    [
      'two with one start and different ends',
      [delivery(0, 60), delivery(0, 15)],
      '#/forecasts/1/deliveryStart DuplicateDeliveries',
    ],
    ['one inside another', [delivery(15, 15), delivery(0, 60)], '#/forecasts/0/deliveryStart OverlappingDeliveries'],
    [
      'one that overlaps not its neighbour but the one before',
      [delivery(0, 60), delivery(5, 5), delivery(30, 15)],
      '#/forecasts/2/deliveryStart OverlappingDeliveries',
    ],
    ['two a year and more apart', [delivery(0, 15), delivery(366 * 1_440, 15)], '#/forecasts RangeTooLong'],
  ])('refuses %s', (_what, deliveries, expected) => {
    expect(codes(...deliveries)).toContain(expected);
  });

  it('tells everything that is wrong with single items at once', () => {
    expect(codes(delivery(0, 15, -1), delivery(5, 15), delivery(60, 60))).toEqual([
      '#/forecasts/0/value LowerLimit',
      '#/forecasts/1/deliveryStart NotAligned',
    ]);
  });
});
