import { describe, expect, it } from 'vitest';
import { explore } from './cache-explorer/search.js';

// As `cache-explorer.spec.ts`, with the widest bounds: a file of its own, so that both run at once. Takes about a minute.
const TIMEOUT_MS = 900_000;

describe('every state of the cache within two commits and an expiry, a reader on each replica', () => {
  it.each([
    { shape: 'row', atLeast: 12_000_000 },
    { shape: 'aggregate', atLeast: 19_000_000 },
  ] as const)(
    'keeps I1 to I4 and I6: $shape',
    async ({ shape, atLeast }) => {
      const { broken, cut, states } = await explore({ shape, commits: 2, expiries: 1, readers: [['load'], ['get']] });
      expect(broken?.story).toBeUndefined();
      expect(cut).toBe(false);
      expect(states).toBeGreaterThanOrEqual(atLeast);
    },
    TIMEOUT_MS,
  );
});
