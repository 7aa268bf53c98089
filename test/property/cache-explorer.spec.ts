import { describe, expect, it } from 'vitest';
import type { Bounds } from './cache-explorer/bounds.js';
import { explore } from './cache-explorer/search.js';

// Two replicas, the store, the database and everything on its way between them, one key: every state within the bounds, each step of a cache and of
// the server one of the real code (`VersionedCache`, `LocalView`, `EmbeddedCacheServer`), run once for each of its states and remembered. I1 to I6
// are those of the random histories (`cache-model.spec.ts`). What is kept beyond its life and shown to who does not wait for a load (`staleAfterMs`) is held to I1 and I4 like
// any other answer, and an eviction that has returned to I4 like a commit: nothing from before it is shown.
const TIMEOUT_MS = 600_000;

interface Complete {
  readonly title: string;
  readonly bounds: Bounds;
  /** Fewer would mean that something no longer happens. */
  readonly atLeast: number;
}

const complete: readonly Complete[] = [
  {
    title: 'two readers and two loads on one replica',
    atLeast: 380_000,
    bounds: { shape: 'row', commits: 1, readers: [['load', 'load', 'get'], []] },
  },
  {
    title: 'a writer who reads its own commit',
    atLeast: 240_000,
    bounds: { shape: 'row', commits: 1, readers: [['load', 'get'], []], writer: true },
  },
  {
    title: 'readers and loads on both replicas, changes invalidate',
    atLeast: 3_000_000,
    bounds: { shape: 'aggregate', commits: 1, readers: [['load', 'get'], ['load']] },
  },
  {
    title: 'loads on both replicas, the key expires',
    atLeast: 1_000_000,
    bounds: { shape: 'row', commits: 1, readers: [['load'], ['load']], expiries: 1 },
  },
  {
    title: 'loaders that read their stamp in an earlier statement, the key expires',
    atLeast: 2_200_000,
    bounds: { shape: 'aggregate', stamp: 'earlier', commits: 1, readers: [['load'], ['load']], expiries: 1 },
  },
  {
    title: 'an eviction',
    atLeast: 1_200_000,
    bounds: { shape: 'row', commits: 1, readers: [['load'], ['get']], evictions: 1 },
  },
  {
    title: 'an eviction and two commits, changes invalidate',
    atLeast: 550_000,
    bounds: { shape: 'aggregate', commits: 2, readers: [['load'], []], evictions: 1 },
  },
  {
    title: 'an eviction, a reader on each replica, changes invalidate',
    atLeast: 1_600_000,
    bounds: { shape: 'aggregate', commits: 1, readers: [['load'], ['get']], evictions: 1 },
  },
  {
    // All that a failover is to those who do not read before its generation is settled: the key is gone, and both lines are cut, in whatever order they find out.
    title: 'the key gone and both lines cut, as a failover is to who waits for its generation',
    atLeast: 130_000,
    bounds: { shape: 'row', commits: 1, readers: [['load'], []], expiries: 1, cuts: 2 },
  },
  {
    title: 'a late set without a lease, and a writer',
    atLeast: 800_000,
    bounds: { shape: 'row', commits: 1, readers: [['load'], []], sets: 1, writer: true },
  },
  {
    title: 'a line that is cut and mended',
    atLeast: 210_000,
    bounds: { shape: 'row', commits: 1, readers: [['load'], ['get']], cuts: 1 },
  },
  {
    title: 'a line that is cut during loads on both replicas, changes invalidate',
    atLeast: 1_200_000,
    bounds: { shape: 'aggregate', commits: 1, readers: [['load'], ['load']], cuts: 1 },
  },
  {
    title: 'a loader that fails',
    atLeast: 440_000,
    bounds: { shape: 'row', commits: 1, readers: [['load'], ['load']], failures: 1 },
  },
  {
    title: 'a request that is given up and may still arrive',
    atLeast: 170_000,
    bounds: { shape: 'row', commits: 1, readers: [['load'], ['get']], timeouts: 1 },
  },
  {
    title: 'a request that is given up, also that of committed(), changes invalidate',
    atLeast: 85_000,
    bounds: { shape: 'aggregate', commits: 1, readers: [['load'], []], timeouts: 1, writer: true },
  },
  {
    title: 'two requests that are given up',
    atLeast: 19_000,
    bounds: { shape: 'row', commits: 1, readers: [['load'], []], timeouts: 2 },
  },
  {
    title: 'a request that is given up, also that of an eviction',
    atLeast: 130_000,
    bounds: { shape: 'row', commits: 1, readers: [['load'], []], timeouts: 1, evictions: 1 },
  },
  {
    title: 'a request that is given up, the key expires',
    atLeast: 25_000,
    bounds: { shape: 'row', commits: 1, readers: [['load'], []], timeouts: 1, expiries: 1 },
  },
  {
    title: 'a request that is given up, also that of a late set without a lease',
    atLeast: 200_000,
    bounds: { shape: 'row', commits: 1, readers: [['load'], []], timeouts: 1, sets: 1 },
  },
  {
    title: 'a request that is given up, a line that is cut and mended',
    atLeast: 43_000,
    bounds: { shape: 'row', commits: 1, readers: [['load'], []], timeouts: 1, cuts: 1 },
  },
  {
    title: 'a request that is given up, a row that is deleted and created again',
    atLeast: 120_000,
    bounds: { shape: 'row', commits: 2, readers: [['load'], []], timeouts: 1, deletedBy: 1 },
  },
  {
    title: 'a request that is given up, a database that is restored',
    atLeast: 75_000,
    bounds: { shape: 'row', commits: 2, readers: [['load'], []], timeouts: 1, restoredBy: 2 },
  },
  {
    title: 'a row that is deleted and created again',
    atLeast: 1_400_000,
    bounds: { shape: 'row', commits: 2, readers: [['load'], ['get']], deletedBy: 1 },
  },
  {
    title: 'a row that is created and deleted, negative entries that expire',
    atLeast: 110_000,
    bounds: { shape: 'row', commits: 2, readers: [['load'], []], deletedBy: 2, expiries: 1 },
  },
  {
    title: 'a row that is deleted and created again, a loader that fails',
    atLeast: 58_000,
    bounds: { shape: 'row', commits: 2, readers: [['load'], []], deletedBy: 1, failures: 1 },
  },
  {
    title: 'a database that is restored, the key expires',
    atLeast: 78_000,
    bounds: { shape: 'row', commits: 2, readers: [['load'], []], restoredBy: 2, expiries: 1 },
  },
  {
    title: 'a database that is restored, in another epoch',
    atLeast: 850_000,
    bounds: { shape: 'row', commits: 2, readers: [['load'], ['get']], restoredBy: 2 },
  },
  {
    title: 'who does not wait for a load is shown what is kept, and a writer',
    atLeast: 80_000,
    bounds: { shape: 'row', commits: 1, readers: [['load', 'join'], []], ages: 1, writer: true },
  },
  {
    title: 'who does not wait for a load is shown what is kept, an eviction',
    atLeast: 190_000,
    bounds: { shape: 'row', commits: 1, readers: [['load', 'join'], []], ages: 1, evictions: 1 },
  },
  {
    title: 'who does not wait for a load is shown what is kept, loads on both replicas',
    atLeast: 1_000_000,
    bounds: { shape: 'row', commits: 1, readers: [['load', 'join'], ['load']], ages: 1 },
  },
  {
    title: 'who does not wait for a load is shown what is kept, a line that is cut and mended',
    atLeast: 30_000,
    bounds: { shape: 'row', commits: 1, readers: [['load', 'join'], []], ages: 1, cuts: 1 },
  },
  {
    title: 'who does not wait for a load, or whose loader fails, is shown what is kept, and a writer',
    atLeast: 280_000,
    bounds: { shape: 'row', commits: 1, readers: [['load', 'join'], []], ages: 1, failures: 1, writer: true },
  },
  {
    title: 'who does not wait for a load is shown what is kept, a row that is deleted and created again',
    atLeast: 110_000,
    bounds: { shape: 'row', commits: 2, readers: [['load', 'join'], []], ages: 1, deletedBy: 1 },
  },
  { title: 'three commits', atLeast: 160_000, bounds: { shape: 'row', commits: 3, readers: [['load'], []] } },
];

describe('every state of the cache within bounds', () => {
  it.each(complete)(
    'keeps I1 to I4 and I6: $title',
    async ({ atLeast, bounds }) => {
      const { broken, cut, states } = await explore(bounds);
      expect(broken?.story).toBeUndefined();
      expect(cut).toBe(false);
      expect(states).toBeGreaterThanOrEqual(atLeast);
    },
    TIMEOUT_MS,
  );

  it(
    'keeps I5: from each of them, rest with the latest value stays within reach',
    async () => {
      const bounds: Bounds = { shape: 'row', commits: 1, writer: true, readers: [['load'], ['get']] };
      const { lost, states } = await explore(bounds, { reachability: true });
      expect(states).toBeGreaterThan(500_000);
      expect(lost).toBe(0);
    },
    TIMEOUT_MS,
  );
});

const twins: readonly (Bounds & { readonly without: NonNullable<Bounds['without']>; readonly breaks: string })[] = [
  {
    without: 'a change raises the floor of a lease',
    breaks: 'I3',
    shape: 'aggregate',
    commits: 1,
    readers: [['load'], []],
  },
  {
    without: 'a change that finds nothing is published',
    breaks: 'I3',
    shape: 'row',
    commits: 1,
    readers: [['load'], []],
    expiries: 1,
  },
  {
    without: 'a set whose lease is gone is refused on an absent key',
    breaks: 'I3',
    shape: 'row',
    commits: 1,
    readers: [['load'], []],
    expiries: 1,
  },
  {
    without: 'a set without a lease creates nothing',
    breaks: 'I3',
    shape: 'row',
    commits: 1,
    readers: [['get'], []],
    sets: 1,
  },
  {
    without: 'a set without a lease does not overtake a lease',
    breaks: 'I3',
    shape: 'row',
    commits: 2,
    readers: [['load'], []],
    sets: 1,
  },
  { without: 'changes never create a value', breaks: 'I3', shape: 'row', commits: 2, readers: [[], []], expiries: 1 },
  {
    without: 'changes never create a tombstone',
    breaks: 'I3',
    shape: 'row',
    commits: 3,
    readers: [[], []],
    expiries: 1,
  },
  {
    without: 'a failed load leaves no floor',
    breaks: 'I3',
    shape: 'row',
    commits: 2,
    readers: [['load'], []],
    failures: 1,
    sets: 1,
  },
  { without: 'what is learned marks flights', breaks: 'I3', shape: 'row', commits: 1, readers: [['load'], ['get']] },
  {
    without: 'a load that is behind is joined by nobody',
    breaks: 'I4',
    shape: 'row',
    commits: 1,
    readers: [['load', 'load'], []],
    writer: true,
  },
  {
    without: 'stamps of replies act like messages',
    breaks: 'I1',
    shape: 'row',
    commits: 1,
    readers: [['load', 'load', 'get'], []],
  },
  {
    without: 'who joins a load that takes long is shown what is kept now',
    breaks: 'I4',
    shape: 'row',
    commits: 1,
    readers: [['load', 'join'], []],
    ages: 1,
    writer: true,
  },
  {
    // An eviction whose answer is lost, or a set that arrives when its caller has gone.
    without: 'a set whose lease is gone is refused on an absent key',
    breaks: 'I4',
    shape: 'row',
    commits: 1,
    readers: [['load'], []],
    timeouts: 1,
    evictions: 1,
  },
  {
    without: 'a later epoch is above every version of the one before',
    breaks: 'I3',
    shape: 'row',
    commits: 2,
    readers: [['load'], []],
    restoredBy: 2,
  },
  {
    without: 'a change raises the floor of a lease',
    breaks: 'I3',
    shape: 'row',
    commits: 2,
    readers: [['load'], []],
    deletedBy: 2,
  },
  {
    without: 'what began before a flush never fills',
    breaks: 'I3',
    shape: 'row',
    commits: 1,
    readers: [['get'], ['load']],
    cuts: 1,
  },
];

describe('the search finds the shortest story of a cache that lacks a rule', () => {
  it.each(twins)(
    '$without: breaks $breaks',
    async ({ breaks, ...bounds }) => {
      const { broken } = await explore(bounds);
      expect(broken?.invariant).toBe(breaks);
      expect(broken?.story.length).toBeLessThan(25);
    },
    TIMEOUT_MS,
  );
});
