import { describe, expect, it } from 'vitest';
import { decodeChangeContext, encodeChangeContext } from './change-context.js';
import { instantText, offsetInstantText } from './instant-text.js';

describe('instants of SQL Server', () => {
  it.each([
    ['2026-11-27 20:31:05', '2026-11-27T20:31:05.000Z'],
    ['2026-11-27 20:31:05.1', '2026-11-27T20:31:05.100Z'],
    ['2026-11-27 20:31:05.123', '2026-11-27T20:31:05.123Z'],
    ['2026-11-27 20:31:05.1230000', '2026-11-27T20:31:05.123Z'],
    ['2026-11-27 20:31:05.1234567', '2026-11-27T20:31:05.1234567Z'],
    ['0001-01-01 00:00:00.0000001', '0001-01-01T00:00:00.0000001Z'],
    ['9999-12-31 23:59:59.9999999', '9999-12-31T23:59:59.9999999Z'],
  ])('has one text for %s', (sql, expected) => {
    expect(instantText(sql)).toBe(expected);
  });

  it.each([
    ['2026-11-27 20:31:05.1234567 +03:00', '2026-11-27T17:31:05.1234567Z'],
    ['2026-11-27 17:31:05.1234567 +00:00', '2026-11-27T17:31:05.1234567Z'],
    ['2026-01-01 00:30:00.000 +05:45', '2025-12-31T18:45:00.000Z'],
    ['2026-12-31 20:00:00 -05:30', '2027-01-01T01:30:00.000Z'],
  ])('turns %s into UTC', (sql, expected) => {
    expect(offsetInstantText(sql)).toBe(expected);
  });
});

describe('change contexts', () => {
  it('come back as they were, also from a padded column, and refuse what does not fit', () => {
    for (const origin of ['importer', 'é'.repeat(62), 'a']) {
      const bytes = encodeChangeContext(origin);
      expect(bytes.length).toBeLessThanOrEqual(128);
      expect(decodeChangeContext(bytes)).toBe(origin);
      const padded = new Uint8Array(128);
      padded.set(bytes);
      expect(decodeChangeContext(padded)).toBe(origin);
    }
    expect(() => encodeChangeContext('')).toThrow(/0 bytes/);
    expect(() => encodeChangeContext('a'.repeat(125))).toThrow(/125 bytes/);
  });

  it('are null for bytes that are not ours, or cut short', () => {
    const bytes = encodeChangeContext('importer');
    expect(decodeChangeContext(null)).toBeNull();
    expect(decodeChangeContext(new Uint8Array())).toBeNull();
    expect(decodeChangeContext(bytes.subarray(0, 6))).toBeNull();
    expect(decodeChangeContext(new Uint8Array([0x53, 0x50, 0x02, 1, 65]))).toBeNull();
  });
});
