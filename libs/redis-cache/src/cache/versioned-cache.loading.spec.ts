import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CacheLoadTimeoutError } from '../redis-cache.errors.js';
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

describe('VersionedCache: one loader', () => {
  it('runs one loader for 100 callers on 4 replicas, and one lease', async () => {
    const four = await Promise.all(Array.from({ length: 4 }, () => replicas.add()));
    const gate = new Gate<Loaded<TestRow>>();
    let runs = 0;
    const call = async (index: number) =>
      await four[index % 4]?.cache.getOrLoad('k', () => {
        runs++;
        return gate.promise;
      });
    const answers = Array.from({ length: 100 }, (_, index) => call(index));
    await replicas.clock.advance(500);
    expect(runs).toBe(1);
    gate.open(loaded(5));
    await replicas.clock.advance(2_000);
    for (const answer of await Promise.all(answers)) {
      expect(answer).toMatchObject({ value: { text: 'v5' }, version: at(5), stale: false });
    }
    const stats = four.map(({ cache }) => cache.stats());
    expect(stats.reduce((sum, { leasesAcquired }) => sum + leasesAcquired, 0)).toBe(1);
    expect(stats.reduce((sum, { joined }) => sum + joined, 0)).toBe(96);
    expect(runs).toBe(1);
  });

  it('wakes the waiting replicas by the message of the set, not by the next poll', async () => {
    const { cache: a } = await replicas.add();
    const { cache: b } = await replicas.add();
    const gate = new Gate<Loaded<TestRow>>();
    const first = a.getOrLoad('k', () => gate.promise);
    await replicas.clock.settle();
    const second = b.getOrLoad('k', async () => loaded(99));
    await replicas.clock.advance(1_000);
    const before = replicas.clock.monotonic();
    gate.open(loaded(5));
    expect((await second).version).toEqual(at(5));
    expect(replicas.clock.monotonic()).toBe(before);
    await first;
  });

  it('goes on at once when the message of the set overtakes the answer that told it to wait', async () => {
    const { cache: a } = await replicas.add();
    const { cache: b, store } = await replicas.add({ storeTimeoutMs: 5_000 });
    const gate = new Gate<Loaded<TestRow>>();
    const first = a.getOrLoad('k', () => gate.promise);
    await replicas.clock.settle();
    store.weather = { kind: 'slow', delayMs: 1_000 };
    const second = b.getOrLoad('k', async () => loaded(99));
    // The read is answered, the question for the lease is on its way back.
    await replicas.clock.advance(1_500);
    store.weather = { kind: 'fine' };
    gate.open(loaded(5));
    await first;
    await replicas.clock.advance(500);
    expect((await second).version).toEqual(at(5));
    expect(replicas.clock.monotonic()).toBe(2_000);
  });

  it('renews its lease while the loader runs longer than the lease lives', async () => {
    const { cache: a } = await replicas.add({ leaseMs: 1_000 });
    const { cache: b } = await replicas.add({ leaseMs: 1_000 });
    const gate = new Gate<Loaded<TestRow>>();
    const first = a.getOrLoad('k', () => gate.promise);
    await replicas.clock.advance(900);
    let ran = false;
    const second = b.getOrLoad('k', async () => {
      ran = true;
      return loaded(9);
    });
    await replicas.clock.advance(5_000);
    gate.open(loaded(5));
    await replicas.clock.advance(2_000);
    expect((await first).stale).toBe(false);
    expect((await second).version).toEqual(at(5));
    expect(ran).toBe(false);
  });

  it('takes over when the lease of a dead loader expires, and counts that', async () => {
    const { cache: a, store } = await replicas.add({ leaseMs: 1_000 });
    const { cache: b } = await replicas.add({ leaseMs: 1_000 });
    const dead = a.getOrLoad('k', () => new Promise(() => {}));
    const ended = expect(dead).rejects.toThrow();
    await replicas.clock.settle();
    // Nothing of it reaches the store any more, as if its process had ended.
    store.weather = { kind: 'failing' };
    const second = b.getOrLoad('k', async () => loaded(5));
    await replicas.clock.advance(990);
    expect(b.stats().leasesAcquired).toBe(0);
    await replicas.clock.advance(20);
    expect(await second).toMatchObject({ version: at(5), level: 'source', stale: false });
    expect(b.stats()).toMatchObject({ leasesAcquired: 1, leasesExpired: 1 });
    store.weather = { kind: 'fine' };
    await a.close();
    await ended;
  });

  it('gives the lease of a failed loader back, so that the next caller loads at once', async () => {
    const { cache: a } = await replicas.add();
    const { cache: b } = await replicas.add();
    await expect(a.getOrLoad('k', () => Promise.reject(new Error('no database')))).rejects.toThrow('no database');
    expect(await b.getOrLoad('k', async () => loaded(5))).toMatchObject({ level: 'source' });
    expect(a.stats().loadFailures).toBe(1);
    expect(b.stats()).toMatchObject({ leasesAcquired: 1, leasesExpired: 0 });
  });

  it('gives the lease back also when a loader throws before it answers a promise', async () => {
    const { cache } = await replicas.add();
    const broken = (): never => {
      throw new Error('not even async');
    };
    await expect(cache.getOrLoad('k', broken)).rejects.toThrow('not even async');
    expect(replicas.server.stats().entries).toBe(0);
  });

  it('ends a loader that takes too long, aborts its signal and gives the lease back', async () => {
    const { cache } = await replicas.add({ loadTimeoutMs: 2_000 });
    let signal: AbortSignal | undefined;
    const answer = cache.getOrLoad('k', (context) => {
      signal = context.signal;
      return new Promise(() => {});
    });
    const outcome = expect(answer).rejects.toThrow(CacheLoadTimeoutError);
    await replicas.clock.advance(2_000);
    await outcome;
    expect(signal?.aborted).toBe(true);
    expect(replicas.server.stats().entries).toBe(0);
  });

  it('loads without storing when another lease stands for too long, and says that the answer is not confirmed', async () => {
    const { cache: a } = await replicas.add({ loadTimeoutMs: 60_000 });
    const { cache: b } = await replicas.add({ waitTimeoutMs: 3_000 });
    const gate = new Gate<Loaded<TestRow>>();
    const first = a.getOrLoad('k', () => gate.promise);
    await replicas.clock.settle();
    const second = b.getOrLoad('k', async () => loaded(7));
    await replicas.clock.advance(3_100);
    expect(await second).toMatchObject({ version: at(7), level: 'source', stale: true });
    expect(b.peek('k')).toBeUndefined();
    gate.open(loaded(5));
    await first;
  });
});
