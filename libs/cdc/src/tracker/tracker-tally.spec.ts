import { describe, expect, it } from 'vitest';
import { TrackerTally } from './tracker-tally.js';

class ServerError extends Error {
  override readonly name = 'ServerError';

  constructor(readonly failure: { readonly number: number | null }) {
    super('no');
  }
}

describe('TrackerTally', () => {
  it("counts failed attempts by the error's class, what it calls for, and the server's number", () => {
    const tally = new TrackerTally();
    tally.failed(new ServerError({ number: 1205 }), 'contention');
    tally.failed(new ServerError({ number: 1205 }), 'contention');
    tally.failed(new ServerError({ number: 229 }), 'configuration');
    tally.failed(new ServerError({ number: null }), 'outage');
    tally.failed(new TypeError('no'), 'outage');

    expect(tally.errorTallies).toEqual([
      { error: 'ServerError', class: 'contention', number: 1205, count: 2 },
      { error: 'ServerError', class: 'configuration', number: 229, count: 1 },
      { error: 'ServerError', class: 'outage', number: null, count: 1 },
      { error: 'TypeError', class: 'outage', number: null, count: 1 },
    ]);
    expect(tally.errors).toBe(5);
  });

  it('counts what goes beyond fifty sorts as one', () => {
    const tally = new TrackerTally();
    for (let round = 0; round < 2; round++) {
      for (let number = 0; number < 60; number++) {
        tally.failed(new ServerError({ number }), 'outage');
      }
    }
    expect(tally.errorTallies).toHaveLength(51);
    expect(tally.errorTallies.at(-1)).toEqual({ error: 'other', class: 'other', number: null, count: 20 });
    expect(tally.errorTallies.reduce((sum, { count }) => sum + count, 0)).toBe(tally.errors);
  });
});
