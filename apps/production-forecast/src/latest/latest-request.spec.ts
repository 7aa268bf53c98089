import { describe, expect, it } from 'vitest';
import { RequestRefusedError } from '../http/problem/problem-details.js';
import { parseLatestQuery } from './latest-request.js';

const series = { provider: 'FinalForecast', unitType: 'PP', unitNo: 7 } as const;
const from = '2026-01-01T00:00:00+03:00';

function mistakes(query: object): readonly string[] {
  try {
    parseLatestQuery(series, query);
  } catch (error) {
    if (error instanceof RequestRefusedError) {
      return error.problem.errors?.map(({ pointer, code }) => `${pointer} ${code}`) ?? [];
    }
    throw error;
  }
  return [];
}

describe('parseLatestQuery', () => {
  it('reads a range of exactly 31 days at a resolution', () => {
    expect(parseLatestQuery(series, { from, to: '2026-02-01T00:00:00+03:00', resolution: '60' })).toEqual({
      series,
      fromMs: Date.UTC(2025, 11, 31, 21),
      toMs: Date.UTC(2026, 0, 31, 21),
      resolutionMinutes: 60,
    });
  });

  it.each([
    ['no range', {}, ['from Malformed', 'to Malformed']],
    ['more than 31 days', { from, to: '2026-02-01T00:01:00+03:00' }, ['to RangeTooLong']],
    ['an empty range', { from, to: from }, ['to EmptyRange']],
    ['a local time', { from: '2026-01-01T00:00:00', to: '2026-01-02T00:00:00+03:00' }, ['from InvalidInstant']],
    [
      'a resolution that is no period',
      { from, to: '2026-01-02T00:00:00+03:00', resolution: '20' },
      ['resolution Malformed'],
    ],
    ['an edge inside a bucket', { from, to: '2026-01-01T00:15:00+03:00', resolution: '30' }, ['to NotAligned']],
    [
      'an edge inside a minute',
      { from: '2026-01-01T00:00:01+03:00', to: '2026-01-02T00:00:00+03:00' },
      ['from NotAligned'],
    ],
    ['an unknown parameter', { from, to: '2026-01-02T00:00:00+03:00', period: '15' }, ['period UnknownField']],
    ['a parameter given twice', { from: [from, from], to: '2026-01-02T00:00:00+03:00' }, ['from Malformed']],
  ])('refuses %s', (_what, query, expected) => {
    expect(mistakes(query)).toEqual(expected);
  });
});
