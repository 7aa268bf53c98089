import { describe, expect, it } from 'vitest';
import { MAX_FORECASTS } from '../domain/delivery.js';
import { type ProblemDetails, RequestRefusedError } from '../http/problem/problem-details.js';
import { BODY_LIMIT_BYTES } from '../production-forecast.limits.js';
import { parseDeliveries } from './save-request.js';

function problemOfBody(body: unknown): ProblemDetails {
  try {
    parseDeliveries(body);
  } catch (error) {
    if (error instanceof RequestRefusedError) {
      return error.problem;
    }
    throw error;
  }
  throw new Error('The body was accepted.');
}

const item = { deliveryStart: '2026-02-01T00:00:00+03:00', deliveryEnd: '2026-02-01T00:15:00+03:00', value: 1.005 };

describe('parseDeliveries', () => {
  it('reads instants with offset, rounds to hundredths and puts deliveries in order', () => {
    const later = { deliveryStart: '2026-01-31T21:15:00Z', deliveryEnd: '2026-01-31T21:30:00Z', value: 2 };
    expect(parseDeliveries({ forecasts: [later, item] })).toEqual([
      { startMs: Date.UTC(2026, 0, 31, 21), endMs: Date.UTC(2026, 0, 31, 21, 15), hundredths: 101 },
      { startMs: Date.UTC(2026, 0, 31, 21, 15), endMs: Date.UTC(2026, 0, 31, 21, 30), hundredths: 200 },
    ]);
  });

  it.each([
    ['no body', undefined, '#/', 'Malformed'],
    ['a list instead of an object', [], '#/', 'Malformed'],
    ['no list', {}, '#/forecasts', 'Malformed'],
    ['an empty list', { forecasts: [] }, '#/forecasts', 'NoPredictions'],
    ['an item that is no object', { forecasts: [null] }, '#/forecasts/0', 'Malformed'],
    ['a text for a number', { forecasts: [{ ...item, value: '1' }] }, '#/forecasts/0/value', 'Malformed'],
    [
      'a local time',
      { forecasts: [{ ...item, deliveryStart: '2026-02-01T00:00:00' }] },
      '#/forecasts/0/deliveryStart',
      'InvalidInstant',
    ],
    ['an unknown field', { forecasts: [{ ...item, unit: 'kW' }] }, '#/forecasts/0/unit', 'UnknownField'],
    ['an unknown field of the body', { forecasts: [item], force: true }, '#/force', 'UnknownField'],
    ['a negative value', { forecasts: [{ ...item, value: -0.01 }] }, '#/forecasts/0/value', 'LowerLimit'],
    [
      'one delivery given in two offsets',
      { forecasts: [item, { deliveryStart: '2026-01-31T21:00:00Z', deliveryEnd: '2026-01-31T21:15:00Z', value: 2 }] },
      '#/forecasts/1/deliveryStart',
      'DuplicateDeliveries',
    ],
  ])('refuses %s and points at it', (_what, body, pointer, code) => {
    const problem = problemOfBody(body);
    expect(problem.status).toBe(400);
    expect(problem.errors).toContainEqual(expect.objectContaining({ pointer, code }));
  });

  it('names the first fifty mistakes of thousands', () => {
    const forecasts = Array.from({ length: MAX_FORECASTS }, () => ({ ...item, value: -1 }));
    expect(problemOfBody({ forecasts }).errors).toHaveLength(50);
  });

  it('refuses 5,001 forecasts with 413 before looking at them', () => {
    expect(problemOfBody({ forecasts: Array.from({ length: MAX_FORECASTS + 1 }, () => ({})) }).status).toBe(413);
  });

  it('has room in the body limit for 5,000 of the longest forecasts, indented', () => {
    const longest = {
      deliveryStart: '2026-02-01T00:00:00.000+03:00',
      deliveryEnd: '2026-02-01T00:15:00.000+03:00',
      value: 99_999.123_456,
    };
    const body = JSON.stringify({ forecasts: Array.from({ length: MAX_FORECASTS }, () => longest) }, null, 2);
    expect(Buffer.byteLength(body)).toBeLessThan(BODY_LIMIT_BYTES);
    expect(Buffer.byteLength(JSON.stringify(JSON.parse(body)))).toBeLessThan(625_000);
  });
});
