import { describe, expect, it } from 'vitest';
import type { SqlValue } from '../sql/sql-value.js';
import { columnReader } from './column-values.js';

describe('columnReader', () => {
  it.each<[string, SqlValue, unknown]>([
    ['datetime', '2026-01-31 23:45:00.120', '2026-01-31T23:45:00.120Z'],
    ['datetime', '2026-01-31 23:45:00', '2026-01-31T23:45:00.000Z'],
    ['datetime', '2026-01-31 23:45', '2026-01-31T23:45:00.000Z'],
    ['datetime', '2026-01-31T23:45:00Z', '2026-01-31T23:45:00.000Z'],
    ['DATETIME(3)', '2026-02-01T00:45:00+01:00', '2026-01-31T23:45:00.000Z'],
    ['timestamp', '2026-01-31 23:45:00.123456', '2026-01-31T23:45:00.123Z'],
    ['datetime', 'soon', 'soon'],
    ['date', '2026-01-31', '2026-01-31'],
    ['boolean', 1n, true],
    ['boolean', 0n, false],
    ['boolean', null, null],
    ['decimal(10,2)', 12.5, '12.50'],
    ['decimal(10,2)', 12n, '12.00'],
    ['decimal(10, 2)', -0.07, '-0.07'],
    ['decimal', 12.5, '12.5'],
    ['decimal(10)', 12n, '12'],
    ['numeric(38,4)', '12345678901234567890.1234', '12345678901234567890.1234'],
    ['integer', 12n, 12],
    ['bigint', 9_007_199_254_740_993n, 9_007_199_254_740_993n],
    ['real', 0.1, 0.1],
    ['varchar(20)', '12', '12'],
    ['', null, null],
  ])('hands out a stored value as the declared type says: %s, %s', (declaredType, stored, expected) => {
    expect(columnReader(declaredType)(stored)).toBe(expected);
  });

  it('hands out bytes as they are', () => {
    const bytes = new Uint8Array([0, 255]);
    expect(columnReader('blob')(bytes)).toBe(bytes);
  });
});
