import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Gate, TestReplicas, type TestRow } from '../testing/test-replicas.js';
import { EntryVersion } from '../version/entry-version.js';
import type { Loaded } from './cache-hit.js';

const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
const loaded = (version: number, text = `v${version}`): Loaded<TestRow> => ({ value: { text }, version: at(version) });
let replicas: TestReplicas;

beforeEach(() => {
  replicas = new TestReplicas();
});

afterEach(async () => {
  await replicas.close();
  expect(replicas.clock.pendingTimers).toBe(0);
});

describe('VersionedCache: changes and loads', () => {
  it('never leaves a stale entry when a change comes during a load', async () => {
    const { cache: a } = await replicas.add();
    const { cache: b } = await replicas.add();
    const gates = [new Gate<Loaded<TestRow>>(), new Gate<Loaded<TestRow>>()];
    let runs = 0;
    const answer = a.getOrLoad('k', () => gates[runs++]?.promise ?? Promise.reject(new Error('too often')));
    await replicas.clock.settle();
    expect(await b.refresh('k', { text: 'v6' }, at(6))).toBe('deferred');
    gates[0]?.open(loaded(5));
    await replicas.clock.settle();
    gates[1]?.open(loaded(6));
    expect(await answer).toMatchObject({ version: at(6), stale: false });
    expect(await b.get('k')).toMatchObject({ version: at(6) });
    expect(a.peek('k')).toEqual({ text: 'v6' });
    expect(a.stats().refused).toBe(1);
  });

  it('never gives a caller who comes after the commit the load from before it', async () => {
    const { cache } = await replicas.add();
    const old = new Gate<Loaded<TestRow>>();
    let laterRuns = 0;
    const before = cache.getOrLoad('k', () => (laterRuns === 0 ? old.promise : Promise.resolve(loaded(6))));
    await replicas.clock.settle();
    expect(await cache.invalidate('k', at(6))).toBe('deferred');
    const after = cache.getOrLoad('k', async () => loaded(6));
    laterRuns++;
    old.open(loaded(5));
    await replicas.clock.advance(3_000);
    expect((await after).version).toEqual(at(6));
    expect((await before).version).toEqual(at(6));
  });

  it('lets nobody join a load whose stamp is behind what was learned meanwhile', async () => {
    const { cache, store } = await replicas.add({ storeTimeoutMs: 5_000 });
    const gate = new Gate<Loaded<TestRow>>();
    const before = cache.getOrLoad('k', () => gate.promise);
    await replicas.clock.settle();
    // The set of version 5 is accepted, and its answer takes a second.
    store.weather = { kind: 'slow', delayMs: 1_000 };
    gate.open(loaded(5));
    await replicas.clock.settle();
    store.weather = { kind: 'fine' };
    expect(await cache.invalidate('k', at(6))).toBe('applied');
    const after = await cache.getOrLoad('k', async () => loaded(6));
    expect(after.version).toEqual(at(6));
    await replicas.clock.advance(1_000);
    expect((await before).version).toEqual(at(5));
    expect(cache.peek('k')).toEqual({ text: 'v6' });
    expect(cache.stats().takenOut).toBe(1);
  });

  it('drops the key on every replica when one of them applies a change', async () => {
    const { cache: a } = await replicas.add();
    const { cache: b } = await replicas.add();
    await a.getOrLoad('k', async () => loaded(5));
    await b.get('k');
    expect(await b.refresh('k', { text: 'v6' }, at(6))).toBe('applied');
    await replicas.clock.settle();
    expect(a.peek('k')).toBeUndefined();
    expect(await a.get('k')).toMatchObject({ version: at(6), level: 'l2' });
  });

  it('does not put a late answer into the first level when a message overtook it', async () => {
    const { cache: a, store } = await replicas.add({ storeTimeoutMs: 5_000 });
    const { cache: b } = await replicas.add();
    await b.getOrLoad('k', async () => loaded(5));
    store.weather = { kind: 'slow', delayMs: 1_000 };
    const late = a.get('k');
    await replicas.clock.settle();
    await b.refresh('k', { text: 'v6' }, at(6));
    await replicas.clock.advance(1_000);
    expect((await late)?.version).toEqual(at(5));
    expect(a.peek('k')).toBeUndefined();
  });

  it('takes the stored winner when its own set is refused', async () => {
    const { cache: a } = await replicas.add({ leaseMs: 600_000, loadTimeoutMs: 600_000 });
    const { cache: b } = await replicas.add();
    const gate = new Gate<Loaded<TestRow>>();
    const answer = a.getOrLoad('k', () => gate.promise);
    await replicas.clock.settle();
    replicas.server.expire('{test:rows:k}:v');
    await b.getOrLoad('k', async () => loaded(7));
    gate.open(loaded(5));
    expect(await answer).toMatchObject({ version: at(7), level: 'l2', stale: false });
  });

  it('answers its own value flagged stale when the store refused it four times', async () => {
    const { cache } = await replicas.add();
    let runs = 0;
    const answer = await cache.getOrLoad('k', async () => {
      runs++;
      await cache.invalidate('k', at(runs + 10));
      return loaded(runs);
    });
    expect(runs).toBe(4);
    expect(answer).toMatchObject({ version: at(4), level: 'source', stale: true });
    expect(cache.peek('k')).toBeUndefined();
    expect(cache.stats().staleAnswers).toBe(1);
  });

  it('leaves nothing of a load that was evicted while it ran', async () => {
    const { cache: a } = await replicas.add();
    const { cache: b } = await replicas.add();
    const gate = new Gate<Loaded<TestRow>>();
    let runs = 0;
    const answer = a.getOrLoad('k', () => (runs++ === 0 ? gate.promise : Promise.resolve(loaded(9))));
    await replicas.clock.settle();
    await b.evict('k');
    gate.open(loaded(5));
    expect((await answer).version).toEqual(at(9));
    expect(runs).toBe(2);
  });

  it.each(['given', 'held by another'])(
    'acts on the floor of a lease (%s) like on a message: an older reply fills nothing',
    async (lease) => {
      // Messages to `a` are late; only what it reads itself tells it of the change.
      const { cache: a, bus, store } = await replicas.add({ storeTimeoutMs: 5_000 }, { silent: true });
      const { cache: b } = await replicas.add();
      await b.getOrLoad('k', async () => loaded(5));
      bus.cut();
      store.weather = { kind: 'slow', delayMs: 3_000 };
      const late = a.get('k');
      await replicas.clock.settle();
      await b.invalidate('k', at(6));
      const origin = { channel: 'test:rows:!inv', source: 'x', synced: true };
      const stored = '{test:rows:k}:v';
      const raise = (): void => {
        replicas.server.getOrLease(stored, 't', 600_000);
        replicas.server.invalidate(stored, at(7), origin, 60_000);
      };
      const gate = new Gate<Loaded<TestRow>>();
      store.weather = { kind: 'slow', delayMs: 1_000 };
      if (lease === 'held by another') {
        raise();
      }
      const load = a.getOrLoad('k', () => gate.promise);
      await replicas.clock.settle();
      store.weather = { kind: 'fine' };
      if (lease === 'given') {
        // The read found nothing; the question for the lease finds one that is free, with its floor.
        raise();
        replicas.server.set({ ...origin, key: stored, version: at(6), payload: '{}', ttlMs: 60_000 }, 't');
      }
      await replicas.clock.advance(3_000);
      expect((await late)?.version).toEqual(at(5));
      expect(a.peek('k')).toBeUndefined();
      gate.open(loaded(7));
      replicas.server.expire(stored);
      await replicas.clock.advance(2_000);
      expect((await load).version).toEqual(at(7));
    },
  );

  it('acts on a stamp learned elsewhere like on a message', async () => {
    const { cache } = await replicas.add();
    await cache.getOrLoad('k', async () => loaded(5));
    cache.learn('k', at(5));
    expect(cache.peek('k')).toEqual({ text: 'v5' });
    cache.learn('k', at(6));
    expect(cache.peek('k')).toBeUndefined();
  });

  it('does not pass off as confirmed what is below a stamp learned while it was loaded', async () => {
    const { cache } = await replicas.add();
    const answer = await cache.getOrLoad('k', async () => {
      cache.learn('k', at(6));
      return loaded(5);
    });
    expect(answer).toMatchObject({ version: at(5), stale: true });
    expect(cache.peek('k')).toBeUndefined();
  });

  it('lets nobody join an answer that was decided before the commit, in whatever turn of the event loop it commits', async () => {
    const { cache: a } = await replicas.add();
    const { cache: b } = await replicas.add();
    const origin = { channel: 'test:rows:!inv', source: 'x', synced: true };
    for (let turns = 0; turns < 30; turns++) {
      const key = `k${turns}`;
      await b.getOrLoad(key, async () => loaded(5));
      // Loads only when it finds the key absent, which is after the commit.
      const before = a.getOrLoad(key, async () => loaded(6));
      for (let turn = 0; turn < turns; turn++) {
        await Promise.resolve();
      }
      replicas.server.invalidate(`{test:rows:${key}}:v`, at(6), origin, 60_000);
      a.learn(key, at(6));
      const after = a.getOrLoad(key, async () => loaded(6));
      expect((await after).version).toEqual(at(6));
      await before;
    }
  });
});
