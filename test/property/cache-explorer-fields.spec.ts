import { describe, expect, it } from 'vitest';
import type { Bounds } from './cache-explorer/bounds.js';
import { explore } from './cache-explorer/search.js';

// As `cache-explorer.spec.ts`, where the key holds a hash of two rows and changes write fields. What is shown, kept and stored is a set of commits: a later one of
// one row may be there before an earlier one of the other, and none that was there may be gone (I1, I2, I4), whichever field it is in.
const TIMEOUT_MS = 600_000;

const complete: readonly (readonly [title: string, atLeast: number, bounds: Omit<Bounds, 'shape'>])[] = [
  ['changes of two rows in any order, a reader on each replica', 500_000, { commits: 2, readers: [['load'], ['get']] }],
  [
    'changes of one row in any order, a reader on each replica',
    500_000,
    { commits: 2, rows: 'one', readers: [['load'], ['get']] },
  ],
  ['a late set of the whole without a lease', 900_000, { commits: 2, readers: [['load'], []], sets: 1 }],
  ['a writer who reads its own commit', 12_000, { commits: 1, readers: [['load'], []], writer: true }],
  [
    'a row that is deleted, the key expires',
    75_000,
    { commits: 2, readers: [['load'], []], deletedBy: 2, expiries: 1 },
  ],
  ['a loader that fails', 35_000, { commits: 2, readers: [['load'], []], failures: 1 }],
  ['a loader that fails, loads on both replicas', 390_000, { commits: 1, readers: [['load'], ['load']], failures: 1 }],
  ['an eviction', 300_000, { commits: 2, readers: [['load'], []], evictions: 1 }],
  ['a line that is cut and mended', 65_000, { commits: 2, readers: [['load'], []], cuts: 1 }],
  ['a request that is given up and may still arrive', 60_000, { commits: 2, readers: [['load'], []], timeouts: 1 }],
  [
    'a request that is given up, a row that is deleted',
    63_000,
    { commits: 2, readers: [['load'], []], timeouts: 1, deletedBy: 2 },
  ],
  [
    'a request that is given up, the key expires',
    27_000,
    { commits: 1, readers: [['load'], []], timeouts: 1, expiries: 1 },
  ],
  ['a database that is restored, in another epoch', 7_000, { commits: 2, readers: [['load'], []], restoredBy: 2 }],
];

describe('every state of a hash within bounds', () => {
  it.each(complete)(
    'keeps I1 to I4 and I6: %s',
    async (_, atLeast, bounds) => {
      const { broken, cut, states } = await explore({ shape: 'fields', ...bounds });
      expect(broken?.story).toBeUndefined();
      expect(cut).toBe(false);
      expect(states).toBeGreaterThanOrEqual(atLeast);
    },
    TIMEOUT_MS,
  );
});

const twins: readonly (readonly [NonNullable<Bounds['withoutField']>, breaks: string, Omit<Bounds, 'shape'>])[] = [
  ['each step that changes fields counts in the stamp', 'I3', { commits: 2, readers: [['load'], []] }],
  ['a change of fields raises the floor of a lease', 'I3', { commits: 1, readers: [['load'], []] }],
  ['a field is compared with its own version, or the base', 'I2', { commits: 2, rows: 'one', readers: [['load'], []] }],
  ['changes of fields never create a hash', 'I2', { commits: 1, readers: [[], []] }],
  ['what replaces a hash leaves fields above it', 'I2', { commits: 2, readers: [['load'], []], sets: 1 }],
];

describe('the search finds the shortest story of hashes that lack a rule', () => {
  it.each(twins)('%s: breaks %s', async (withoutField, breaks, bounds) => {
    const { broken } = await explore({ shape: 'fields', withoutField, ...bounds });
    expect(broken?.invariant).toBe(breaks);
    expect(broken?.story.length).toBeLessThan(25);
  });
});
