import { describe, expect, it } from 'vitest';
import { type Delivery } from '../domain/delivery.js';
import { type LatestQuery, represent } from './representation.js';

const query: LatestQuery = {
  series: { provider: 'FinalForecast', unitType: 'PP', unitNo: 7 },
  fromMs: Date.UTC(2026, 0, 31),
  toMs: Date.UTC(2026, 1, 1),
  resolutionMinutes: undefined,
};
const delivery: Delivery = { startMs: Date.UTC(2026, 0, 31), endMs: Date.UTC(2026, 0, 31, 0, 15), hundredths: 1_205 };

describe('represent', () => {
  it('writes instants in UTC and power in megawatts', () => {
    expect(JSON.parse(represent(query, [delivery]).body)).toEqual({
      provider: 'FinalForecast',
      unitType: 'PP',
      unitNo: 7,
      from: '2026-01-31T00:00:00.000Z',
      to: '2026-02-01T00:00:00.000Z',
      resolution: null,
      unit: 'MW',
      forecasts: [{ deliveryStart: '2026-01-31T00:00:00.000Z', deliveryEnd: '2026-01-31T00:15:00.000Z', value: 12.05 }],
    });
  });

  it('gives equal values one strong ETag and any other value or range another', () => {
    const { etag } = represent(query, [delivery]);
    expect(etag).toMatch(/^"[\w-]{43}"$/);
    expect(represent(query, [{ ...delivery }]).etag).toBe(etag);
    expect(represent(query, [{ ...delivery, hundredths: 1_206 }]).etag).not.toBe(etag);
    expect(represent({ ...query, toMs: query.toMs - 60_000 }, [delivery]).etag).not.toBe(etag);
    expect(represent(query, []).etag).not.toBe(etag);
  });
});
