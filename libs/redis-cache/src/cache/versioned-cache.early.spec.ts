import { ConfigurationError } from '@smartpulse/resilience';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defineCache } from '../namespace/define-cache.js';
import { Gate, TestReplicas, type TestRow } from '../testing/test-replicas.js';
import { EntryVersion } from '../version/entry-version.js';
import type { Loaded } from './cache-hit.js';

const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
const loaded = (version: number): Loaded<TestRow> => ({ value: { text: `v${version}` }, version: at(version) });
const LOAD_MS = 100;
const EARLY = { earlyRefresh: 1, l1TtlMs: 10_000, l2TtlMs: 10_000 };
let replicas: TestReplicas;

beforeEach(() => {
  replicas = new TestReplicas();
});
afterEach(async () => {
  await replicas.close();
  expect(replicas.clock.pendingTimers).toBe(0);
});

/** A source whose every answer takes a while. */
function source(): { readonly read: () => Promise<Loaded<TestRow>>; runs: number; version: number; down: boolean } {
  const state = {
    runs: 0,
    version: 1,
    down: false,
    read: async (): Promise<Loaded<TestRow>> => {
      state.runs++;
      await replicas.clock.sleep(LOAD_MS);
      if (state.down) {
        throw new Error('The source is down.');
      }
      return loaded(state.version);
    },
  };
  return state;
}

/** A key in use, from now on for so long. */
async function uses(
  caches: readonly { getOrLoad: (key: string, load: () => Promise<Loaded<TestRow>>) => Promise<unknown> }[],
  read: () => Promise<Loaded<TestRow>>,
  forMs: number,
): Promise<number> {
  let slow = 0;
  for (let ms = 0; ms < forMs; ms += 20) {
    for (const cache of caches) {
      let done = false;
      const asked = cache.getOrLoad('k', read).then(() => (done = true));
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await replicas.clock.settle();
      slow += done ? 0 : 1;
      void asked;
    }
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await replicas.clock.advance(20);
  }
  return slow;
}

describe('VersionedCache: early refresh', () => {
  it('loads a value in use anew before its life ends, so that after the first load no reader waits', async () => {
    const { cache } = await replicas.add(EARLY);
    const from = source();
    const first = cache.getOrLoad('k', from.read);
    await replicas.clock.advance(LOAD_MS);
    await first;
    expect(await uses([cache], from.read, 60_000)).toBe(0);
    expect(from.runs).toBeGreaterThan(5);
    expect(cache.stats().earlyRefreshes).toBe(from.runs - 1);
  });

  it('has one replica load it, whose value the others take', async () => {
    const nodes = [await replicas.add(EARLY), await replicas.add(EARLY), await replicas.add(EARLY)];
    const from = source();
    const caches = nodes.map(({ cache }) => cache);
    await uses(caches, from.read, 1_000);
    const before = from.runs;
    const slow = await uses(caches, from.read, 9_500);
    expect([slow, from.runs - before]).toEqual([0, 1]);
  });

  it('loads nothing anew that nobody reads, and nothing with the option off', async () => {
    const [used, off] = [await replicas.add(EARLY), await replicas.add({ ...EARLY, name: 'off', earlyRefresh: 0 })];
    const from = source();
    void used.cache.getOrLoad('k', from.read);
    void off.cache.getOrLoad('k', from.read);
    await replicas.clock.advance(8_000);
    expect(from.runs).toBe(2);
    await uses([off.cache], from.read, 20);
    expect(off.cache.stats().earlyRefreshes).toBe(0);
  });

  it('leaves the value where the loader fails, and the readers alone', async () => {
    const { cache } = await replicas.add({ ...EARLY, earlyRefresh: 5 });
    const from = source();
    void cache.getOrLoad('k', from.read);
    await replicas.clock.advance(8_000);
    from.down = true;
    let slow = 0;
    while (cache.stats().loadFailures === 0) {
      // oxlint-disable-next-line no-await-in-loop -- until it has failed
      slow += await uses([cache], from.read, 20);
    }
    expect([slow, cache.peek('k')]).toEqual([0, { text: 'v1' }]);
    await uses([cache], from.read, 60);
    expect([cache.stats().loadFailures, cache.peek('k')]).toEqual([1, { text: 'v1' }]);
  });

  it('never goes back: a change that comes while it loads anew stays', async () => {
    const { cache } = await replicas.add(EARLY);
    const from = source();
    void cache.getOrLoad('k', from.read);
    await replicas.clock.advance(8_000);
    while (from.runs < 2) {
      // oxlint-disable-next-line no-await-in-loop -- until it begins
      await uses([cache], from.read, 20);
    }
    await cache.refresh('k', { text: 'v7' }, at(7));
    await replicas.clock.advance(500);
    expect((await cache.get('k'))?.version).toEqual(at(7));
  });
});

describe('VersionedCache: an old value of the second level', () => {
  const LIVES = { l1TtlMs: 1_000, l2TtlMs: 2_000, failSafeMs: 60_000 };
  const down = new Error('The source is down.');

  it('answers on a replica that never held it, when the loader fails, and says so', async () => {
    const [a, b] = [await replicas.add(LIVES), await replicas.add(LIVES)];
    await a.cache.getOrLoad('k', async () => loaded(5));
    await replicas.clock.advance(3_000);
    expect(await b.cache.get('k')).toBeUndefined();
    expect(await b.cache.getOrLoad('k', () => Promise.reject(down))).toEqual({
      value: { text: 'v5' },
      version: at(5),
      level: 'l2',
      stale: true,
      failure: down,
    });
    expect(await b.cache.getOrLoad('k', async () => loaded(6))).toMatchObject({ level: 'source', stale: false });
  });

  it('is shown to nobody whom a newer version is known to', async () => {
    const [a, b] = [await replicas.add(LIVES), await replicas.add(LIVES)];
    await a.cache.getOrLoad('k', async () => loaded(5));
    await replicas.clock.advance(3_000);
    const gate = new Gate<Loaded<TestRow>>();
    const load = b.cache.getOrLoad('k', () => gate.promise.then(() => Promise.reject(down)));
    await replicas.clock.settle();
    await a.cache.invalidate('k', at(6));
    gate.open(loaded(5));
    await expect(load).rejects.toBe(down);
  });

  it('answers who has waited long enough, and the load goes on', async () => {
    const { cache } = await replicas.add({ ...LIVES, staleAfterMs: 50 });
    await cache.getOrLoad('k', async () => loaded(5));
    await replicas.clock.advance(3_000);
    const slow = new Gate<Loaded<TestRow>>();
    const first = cache.getOrLoad('k', () => slow.promise);
    await replicas.clock.advance(50);
    expect(await first).toMatchObject({ value: { text: 'v5' }, stale: true });
    slow.open(loaded(6));
    await replicas.clock.settle();
    expect(cache.peek('k')).toEqual({ text: 'v6' });
  });

  it.each(['invalidate', 'evict'] as const)(
    'has nobody wait for that load again, and shows the old value to nobody any more once %s has returned',
    async (change) => {
      const { cache } = await replicas.add({ ...LIVES, staleAfterMs: 50 });
      await cache.getOrLoad('k', async () => loaded(5));
      await replicas.clock.advance(3_000);
      const slow = new Gate<Loaded<TestRow>>();
      const answers = [slow.promise, Promise.resolve(loaded(7))];
      const first = cache.getOrLoad('k', () => answers.shift() ?? Promise.reject(new Error('Asked too often.')));
      await replicas.clock.advance(50);
      expect(await first).toMatchObject({ value: { text: 'v5' }, stale: true });
      expect(await cache.getOrLoad('k', async () => loaded(6))).toMatchObject({ value: { text: 'v5' }, stale: true });
      if (change === 'invalidate') {
        expect(await cache.invalidate('k', at(7))).toBe('deferred');
      } else {
        await cache.evict('k');
      }
      const later = cache.getOrLoad('k', async () => loaded(7));
      await replicas.clock.settle();
      slow.open(loaded(6));
      await replicas.clock.advance(2_000);
      expect(await later).toMatchObject({ value: { text: 'v7' }, stale: false });
    },
  );

  it('makes nobody wait less where there is none', async () => {
    const { cache } = await replicas.add({ ...LIVES, staleAfterMs: 50 });
    const slow = new Gate<Loaded<TestRow>>();
    const first = cache.getOrLoad('k', () => slow.promise);
    await replicas.clock.advance(500);
    slow.open(loaded(6));
    expect(await first).toMatchObject({ value: { text: 'v6' }, stale: false });
  });

  it('needs fail-safe for who does not want to wait', () => {
    expect(() => defineCache({ name: 'rows', synced: true, staleAfterMs: 50 })).toThrow(ConfigurationError);
  });
});
