import { ConfigurationError } from '@smartpulse/resilience';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defineCache } from '../namespace/define-cache.js';
import { Gate, TestReplicas, type TestRow } from '../testing/test-replicas.js';

const row = (text: string): TestRow => ({ text });
let replicas: TestReplicas;

beforeEach(() => {
  replicas = new TestReplicas();
});
afterEach(async () => {
  await replicas.close();
  expect(replicas.clock.pendingTimers).toBe(0);
});

describe('AutoCache', () => {
  it('keeps what came last, on every replica, and gives each a version above the one before', async () => {
    const [a, b] = [await replicas.addAuto(), await replicas.addAuto()];
    await a.auto.set('k', row('first'));
    const first = await b.auto.get('k');
    await b.auto.set('k', row('second'));
    await replicas.clock.settle();
    const second = await a.auto.get('k');
    expect([first?.value, second?.value]).toEqual([row('first'), row('second')]);
    expect(second && first && second.version.compare(first.version)).toBe(1);
    expect(b.auto.peek('k')).toEqual(row('second'));
  });

  it('loads what it has not, once, and remembers that the source has nothing', async () => {
    const { auto } = await replicas.addAuto();
    let runs = 0;
    const load = async (): Promise<TestRow | undefined> => {
      runs++;
      return row('loaded');
    };
    const [one, two] = await Promise.all([auto.getOrLoad('k', load), auto.getOrLoad('k', load)]);
    expect([one.value, two.value, runs]).toEqual([row('loaded'), row('loaded'), 1]);
    expect(await auto.getOrLoad('none', async () => undefined)).toMatchObject({ value: undefined, stale: false });
    expect(await auto.get('none')).toMatchObject({ value: undefined });
  });

  it('does not store what a loader read before an invalidation, whose caller still gets it', async () => {
    const [a, b] = [await replicas.addAuto(), await replicas.addAuto()];
    const source = new Gate<TestRow>();
    const load = a.auto.getOrLoad('k', (context) =>
      context.floor.version === 0n ? source.promise : Promise.resolve(row('new')),
    );
    await replicas.clock.settle();
    await b.auto.invalidate('k');
    await replicas.clock.settle();
    source.open(row('old'));
    await replicas.clock.advance(1_000);
    expect((await load).value).toEqual(row('new'));
    expect((await b.auto.get('k'))?.value).toEqual(row('new'));
  });

  it('says that nothing confirms a value that cannot be stored and was invalidated while it was read', async () => {
    const [a, b] = [await replicas.addAuto({ maxPayloadBytes: 20 }), await replicas.addAuto()];
    const large = row('too large to be stored');
    expect(await a.auto.getOrLoad('k', async () => large)).toMatchObject({ value: large, stale: false });
    const source = new Gate<TestRow>();
    const before = a.auto.getOrLoad('k', () => source.promise);
    await replicas.clock.settle();
    await b.auto.invalidate('k');
    await replicas.clock.settle();
    const after = a.auto.getOrLoad('k', async () => large);
    source.open(large);
    expect([(await before).stale, (await after).stale]).toEqual([true, true]);
  });

  it('lets a set overtake a loader, whose callers get what was set', async () => {
    const [a, b] = [await replicas.addAuto(), await replicas.addAuto()];
    const source = new Gate<TestRow>();
    const load = a.auto.getOrLoad('k', () => source.promise);
    await replicas.clock.settle();
    await b.auto.set('k', row('set'));
    source.open(row('loaded'));
    await replicas.clock.advance(1_000);
    expect((await load).value).toEqual(row('set'));
  });

  it('never shows less to who joined a load after another replica wrote than that write', async () => {
    const [a, b] = [await replicas.addAuto(), await replicas.addAuto()];
    a.store.weather = { kind: 'slow', delayMs: 100 };
    const first = a.auto.getOrLoad('k', async () => row('loaded'));
    // The set under the lease has its effect, and its answer is under way.
    await replicas.clock.advance(250);
    await b.auto.set('k', row('set later'));
    await replicas.clock.settle();
    const second = a.auto.getOrLoad('k', async () => row('loaded again'));
    await replicas.clock.advance(2_000);
    await first;
    expect((await second).value).toEqual(row('set later'));
  });

  it('shows nothing that it held from the moment that it was invalidated', async () => {
    const { auto } = await replicas.addAuto();
    await auto.set('k', row('x'));
    const invalidated = auto.invalidate('k');
    expect(auto.peek('k')).toBeUndefined();
    await invalidated;
    expect(await auto.get('k')).toBeUndefined();
  });

  it('has no synced namespaces: what a sync brings has versions', () => {
    expect(() => defineCache({ name: 'rows', synced: true, versioning: 'auto' })).toThrow(ConfigurationError);
  });
});
