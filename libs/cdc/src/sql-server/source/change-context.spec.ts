import { describe, expect, it } from 'vitest';
import { decodeChangeContext, encodeChangeContext } from './change-context.js';

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

/** As a fixed binary column gives it back. */
function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(128);
  whole.set(bytes);
  return whole;
}

describe('change contexts', () => {
  it('come back as they were, also from a padded column, and refuse what does not fit', () => {
    for (const traceparent of [null, TRACE]) {
      for (const origin of ['importer', 'é'.repeat(49), 'a'.repeat(99), 'a']) {
        const bytes = encodeChangeContext(origin, traceparent);
        expect(bytes.length).toBeLessThanOrEqual(128);
        expect(decodeChangeContext(bytes)).toEqual({ origin, traceparent });
        expect(decodeChangeContext(padded(bytes))).toEqual({ origin, traceparent });
      }
    }
    expect(() => encodeChangeContext('')).toThrow(/0 bytes/);
    expect(() => encodeChangeContext('a'.repeat(125))).toThrow(/125 bytes/);
  });

  it('leave the trace out where the name needs its room, or where it is none', () => {
    for (const [origin, traceparent] of [
      ['a'.repeat(100), TRACE],
      ['é'.repeat(62), TRACE],
      ['importer', 'ff-not-a-trace-01'],
      ['importer', ''],
    ] as const) {
      expect(decodeChangeContext(encodeChangeContext(origin, traceparent))).toEqual({ origin, traceparent: null });
    }
  });

  it('are null for bytes that are not ours, or cut short', () => {
    const bytes = encodeChangeContext('importer');
    const traced = encodeChangeContext('importer', TRACE);
    expect(decodeChangeContext(null)).toBeNull();
    expect(decodeChangeContext(new Uint8Array())).toBeNull();
    expect(decodeChangeContext(bytes.subarray(0, 6))).toBeNull();
    expect(decodeChangeContext(traced.subarray(0, traced.length - 1))).toBeNull();
    expect(decodeChangeContext(new Uint8Array([0x53, 0x50, 0x03, 1, 65]))).toBeNull();
  });
});
