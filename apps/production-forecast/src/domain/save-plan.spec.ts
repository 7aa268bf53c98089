import { describe, expect, it } from 'vitest';
import { type Delivery } from './delivery.js';
import { formatInstant, MINUTE_MS } from './instant.js';
import { planSave } from './save-plan.js';

const START = Date.UTC(2026, 0, 31);

function quarter(index: number, hundredths: number, minutes = 15): Delivery {
  const startMs = START + index * 15 * MINUTE_MS;
  return { startMs, endMs: startMs + minutes * MINUTE_MS, hundredths };
}

describe('planSave', () => {
  it('writes what is new or another value and skips what is stored as it is', () => {
    const plan = planSave(
      [quarter(0, 1), quarter(1, 2), quarter(3, 4)],
      [quarter(0, 1), quarter(1, 9), quarter(2, 3), quarter(3, 4)],
    );
    expect(plan).toEqual({
      kind: 'accepted',
      changed: [quarter(1, 9), quarter(2, 3)],
      skipped: 2,
      gaps: [],
      missingMinutes: 0,
    });
  });

  it.each([
    ['a stored hour over a quarter', [quarter(0, 1, 60)], [quarter(2, 5)]],
    ['a stored hour that begins with the quarter', [quarter(0, 1, 60)], [quarter(0, 5)]],
    ['a stored quarter inside an hour', [quarter(2, 1)], [quarter(0, 5, 60)]],
    ['a stored hour that began before the request', [quarter(-2, 1, 60)], [quarter(0, 5)]],
  ])('refuses to overlap %s', (_what, stored, deliveries) => {
    expect(planSave(stored, deliveries)).toEqual({ kind: 'conflicting', delivery: deliveries[0], stored: stored[0] });
  });

  it('does not mind stored deliveries that only touch', () => {
    expect(planSave([quarter(-4, 1, 60), quarter(1, 1)], [quarter(0, 5)])).toMatchObject({
      kind: 'accepted',
      changed: [quarter(0, 5)],
    });
  });

  it('finds the holes that the series has between the first and the last delivery once it is saved', () => {
    const plan = planSave([quarter(2, 1), quarter(20, 1)], [quarter(0, 1), quarter(4, 1), quarter(5, 1)]);
    expect(plan).toMatchObject({
      missingMinutes: 30,
      gaps: [
        { from: formatInstant(START + 15 * MINUTE_MS), to: formatInstant(START + 30 * MINUTE_MS) },
        { from: formatInstant(START + 45 * MINUTE_MS), to: formatInstant(START + 60 * MINUTE_MS) },
      ],
    });
  });

  it('lists twenty holes and counts the minutes of all', () => {
    const deliveries = Array.from({ length: 31 }, (_, index) => quarter(index * 2, 1));
    const plan = planSave([], deliveries);
    expect(plan).toMatchObject({ kind: 'accepted', missingMinutes: 30 * 15 });
    expect(plan.kind === 'accepted' && plan.gaps.length).toBe(20);
  });
});
