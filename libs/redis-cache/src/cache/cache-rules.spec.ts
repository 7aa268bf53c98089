import { afterEach, describe, expect, it } from 'vitest';
import { Stage, type StageOptions } from '../testing/simulator/stage.js';
import { type CacheRule, withoutRule } from '../testing/twins/without-rule.js';
import { CacheStore, type SetReply, type StoreWrite } from '../store/cache.store.js';

// The stories of how the cache was wrong before it had a rule, each the shortest there is. Content n was committed at version n + 1, and the
// database begins with content 0 at version 1. Every story is told twice: as the cache is, and without the rule.
const LEASED = ['get executes', 'reply of get', 'getOrLease executes', 'reply of getOrLease'] as const;
const LOADS = [...LEASED, 'loader reads', 'loader answers'] as const;
const by = (replica: string, steps: readonly string[]): readonly string[] => steps.map((step) => `${replica}: ${step}`);

interface Story {
  /** What goes wrong, and which promise it breaks. */
  readonly title: string;
  readonly without: CacheRule | StageOptions;
  /** How the cache is used in it. */
  readonly setting?: StageOptions;
  /** Answers whether the promise was kept. */
  readonly tell: (stage: Stage) => Promise<boolean>;
}

/** At rest, everything that is kept is the latest. */
const healed = async (stage: Stage): Promise<boolean> => {
  await stage.rest();
  return stage.kept().every((content) => content === stage.database.content);
};

const stories: readonly Story[] = [
  {
    title:
      'V1: a read of a newer value overtakes the reply to a set, and the next caller joins the older load: back in time',
    without: 'stamps of replies act like messages',
    async tell(stage) {
      const a = await stage.replica('a');
      const first = stage.load(a);
      await stage.lets(...by('a', [...LOADS, 'set(1']));
      stage.database.commit();
      await stage.refreshes(2, 1);
      const newer = stage.get(a);
      await stage.lets(...by('a', ['get executes', 'reply of get']));
      const shown = (await newer) ?? 0;
      stage.forgets(a);
      const next = stage.load(a);
      await stage.rest();
      await first;
      return ((await next) ?? 0) >= shown;
    },
  },
  {
    title: 'V2: an eviction keeps a floor that lacks what was applied before: a late set is above it, stale for ever',
    without: 'an eviction leaves no floor',
    async tell(stage) {
      const a = await stage.replica('a');
      stage.database.commit();
      stage.database.commit();
      await stage.refreshes(3, 2);
      const load = stage.load(a, { fails: true });
      await stage.lets(...by('a', LEASED));
      const evicted = stage.evict(a);
      const late = stage.set(a, 1, 2);
      await stage.lets('a: evict executes', 'a: set(2');
      await expect(Promise.all([load, stage.rest()])).rejects.toThrow('The loader failed.');
      await Promise.all([evicted, late]);
      return await healed(stage);
    },
  },
  {
    title:
      'V3: the lease of a failed loader becomes a floor that lacks what was applied before: a late set is above it',
    without: 'a failed load leaves no floor',
    async tell(stage) {
      const a = await stage.replica('a');
      stage.database.commit();
      stage.database.commit();
      await stage.refreshes(3, 2);
      const load = stage.load(a, { fails: true });
      const late = stage.set(a, 1, 2);
      await stage.lets(...by('a', LOADS), 'a: releaseLease executes', 'a: set(2');
      await expect(Promise.all([load, stage.rest()])).rejects.toThrow('The loader failed.');
      await late;
      return await healed(stage);
    },
  },
  {
    title:
      'V4: after committed() on an absent key the lease of another replica lets a late set in: a read shows less than the commit',
    without: 'a set without a lease does not overtake a lease',
    async tell(stage) {
      const [a, b] = [await stage.replica('a'), await stage.replica('b')];
      stage.database.commit();
      const late = stage.set(b, 1, 2);
      const own = stage.database.commit();
      const committed = stage.committed(a, own.version);
      await stage.lets('a: invalidate(3', 'a: reply of invalidate');
      await committed;
      const load = stage.load(b);
      await stage.lets(...by('b', LEASED), 'b: set(2');
      const read = stage.get(a);
      await stage.lets('a: get executes', 'a: reply of get');
      const shown = await read;
      await stage.rest();
      await Promise.all([late, load]);
      return shown === undefined || shown >= own.content;
    },
  },
  {
    title: 'V5: content newer than its stamp is replaced by older content under a higher stamp: back in time',
    without: 'a set whose lease is gone is refused on an older value',
    setting: { stamp: 'earlier' },
    async tell(stage) {
      const [a, b] = [await stage.replica('a'), await stage.replica('b')];
      const lost = stage.load(a);
      await stage.lets(...by('a', LEASED));
      stage.expires();
      const load = stage.load(b);
      await stage.lets(...by('b', [...LEASED, 'loader reads']));
      stage.database.commit();
      await stage.lets(...by('a', ['loader reads', 'loader answers']));
      stage.database.commit();
      await stage.lets(...by('b', ['loader answers', 'set(1', 'reply of set']));
      const shown = (await load) ?? 0;
      await stage.lets('a: set(2');
      stage.forgets(b);
      const again = stage.get(b);
      await stage.rest();
      await lost;
      return ((await again) ?? 0) >= shown;
    },
  },
  {
    title: 'a change comes during a load, whose older value is accepted: stale for ever',
    without: 'a change raises the floor of a lease',
    async tell(stage) {
      const a = await stage.replica('a');
      const load = stage.load(a);
      await stage.lets(...by('a', LOADS));
      stage.database.commit();
      expect(await stage.invalidates(2)).toBe('deferred');
      await stage.rest();
      await load;
      return await healed(stage);
    },
  },
  {
    title:
      'a value expires, its change finds nothing and tells nobody, and a late reply fills the first level: stale for ever',
    without: 'a change that finds nothing is published',
    async tell(stage) {
      const a = await stage.replica('a');
      const load = stage.load(a);
      await stage.lets(...by('a', [...LOADS, 'set(1']));
      stage.expires();
      stage.database.commit();
      expect(await stage.refreshes(2, 1)).toBe('absent');
      await stage.rest();
      await load;
      return await healed(stage);
    },
  },
  {
    title: 'an older reply to a read arrives after the message of a change: stale for ever',
    without: 'what is learned marks flights',
    async tell(stage) {
      const [a, b] = [await stage.replica('a'), await stage.replica('b')];
      const load = stage.load(b);
      await stage.rest();
      await load;
      const late = stage.get(a);
      await stage.lets('a: get executes');
      stage.database.commit();
      await stage.refreshes(2, 1);
      await stage.lets('a: hears');
      await stage.rest();
      await late;
      return await healed(stage);
    },
  },
  {
    title: 'the reply to a set arrives after committed() has returned: a read shows less than the commit',
    without: 'what is learned marks flights',
    async tell(stage) {
      const a = await stage.replica('a');
      const load = stage.load(a);
      await stage.lets(...by('a', [...LOADS, 'set(1']));
      const own = stage.database.commit();
      const committed = stage.committed(a, own.version);
      await stage.lets('a: invalidate(2', 'a: reply of invalidate');
      await committed;
      await stage.lets('a: reply of set');
      await load;
      const shown = a.cache.peek('row')?.content;
      await stage.rest();
      return shown === undefined || shown >= own.content;
    },
  },
  {
    title:
      'a set was accepted, its reply is under way, and who reads after committed() joins that load: less than the commit',
    without: 'a load that is behind is joined by nobody',
    async tell(stage) {
      const a = await stage.replica('a');
      const old = stage.load(a);
      await stage.lets(...by('a', [...LOADS, 'set(1']));
      const own = stage.database.commit();
      const committed = stage.committed(a, own.version);
      await stage.lets('a: invalidate(2', 'a: reply of invalidate');
      await committed;
      const next = stage.load(a);
      await stage.rest();
      await old;
      return ((await next) ?? own.content) >= own.content;
    },
  },
  {
    title: 'a late set without a lease lands on an empty key after committed(): less than the commit',
    without: 'a set without a lease creates nothing',
    async tell(stage) {
      const a = await stage.replica('a');
      stage.database.commit();
      const late = stage.set(a, 1, 2);
      const own = stage.database.commit();
      const committed = stage.committed(a, own.version);
      await stage.lets('a: invalidate(3', 'a: reply of invalidate');
      await committed;
      await stage.lets('a: set(2');
      const read = stage.get(a);
      await stage.rest();
      await late;
      return ((await read) ?? own.content) >= own.content;
    },
  },
  {
    title: 'a lease expires, a change finds nothing, and the old set lands: stale for ever',
    without: 'a set whose lease is gone is refused on an absent key',
    async tell(stage) {
      const a = await stage.replica('a');
      const load = stage.load(a);
      await stage.lets(...by('a', LOADS));
      stage.expires();
      stage.database.commit();
      await stage.refreshes(2, 1);
      await stage.rest();
      await load;
      return await healed(stage);
    },
  },
  {
    title: 'a line is cut, nobody notices, and the message of a change is lost: stale for ever',
    without: { announcesLoss: false },
    async tell(stage) {
      const a = await stage.replica('a');
      const load = stage.load(a);
      await stage.rest();
      await load;
      a.bus.cutLine();
      stage.database.commit();
      await stage.invalidates(2);
      await stage.rest();
      a.bus.mendLine();
      return await healed(stage);
    },
  },
  {
    title: 'the first message of a writer is lost on a line that stands, and nobody misses its number: stale for ever',
    without: 'who was not heard of before may have said something',
    async tell(stage) {
      const a = await stage.replica('a');
      const load = stage.load(a);
      await stage.rest();
      await load;
      stage.database.commit();
      await stage.invalidates(2);
      a.bus.loseMessage();
      await stage.rest();
      return await healed(stage);
    },
  },
  {
    title: 'a later message of a writer is lost on a line that stands, and nobody misses its number: stale for ever',
    without: 'a number that is missing is noticed',
    async tell(stage) {
      const a = await stage.replica('a');
      await stage.invalidates(1);
      const load = stage.load(a);
      await stage.rest();
      await load;
      stage.database.commit();
      await stage.invalidates(2);
      a.bus.loseMessage();
      await stage.rest();
      return await healed(stage);
    },
  },
  {
    title:
      'a read that began before a flush fills after it, and the message of a change was lost before it: stale for ever',
    without: 'what began before a flush never fills',
    async tell(stage) {
      const a = await stage.replica('a');
      const load = stage.load(a);
      await stage.rest();
      await load;
      stage.forgets(a);
      const late = stage.get(a);
      await stage.lets('a: get executes');
      a.bus.cutLine();
      stage.database.commit();
      await stage.refreshes(2, 1);
      a.bus.mendLine();
      await stage.lets('a: hears untrusted', 'a: hears trusted');
      await stage.rest();
      await late;
      return await healed(stage);
    },
  },
  {
    title: 'a refused loader shows its own value while the store has an older one: the next read goes back in time',
    without: { storeOf: (store) => new UnseenRefusals(store) },
    async tell(stage) {
      const [a, b] = [await stage.replica('a'), await stage.replica('b')];
      const lost = stage.load(a);
      await stage.lets(...by('a', LEASED));
      stage.expires();
      const load = stage.load(b);
      await stage.lets(...by('b', LOADS));
      stage.database.commit();
      await stage.lets(...by('a', ['loader reads', 'loader answers']), 'b: set(1', 'a: set(2', 'a: reply of set');
      const shown = (await lost) ?? 0;
      stage.forgets(a);
      const again = stage.get(a);
      await stage.rest();
      await load;
      return ((await again) ?? shown) >= shown;
    },
  },
  {
    title: 'a loader reads its stamp after its data: what is stored lacks a commit that its stamp claims',
    without: { stamp: 'later' },
    async tell(stage) {
      const a = await stage.replica('a');
      const load = stage.load(a);
      await stage.lets(...by('a', [...LEASED, 'loader reads']));
      stage.database.commit();
      await stage.rest();
      await load;
      const stored = stage.stored();
      return stored !== undefined && stored.content >= stored.version - 1;
    },
  },
  {
    title: 'a late change creates a value, of which the newer change has already been told: stale for ever',
    without: 'changes never create a value',
    async tell(stage) {
      stage.database.commit();
      stage.database.commit();
      await stage.refreshes(3, 2);
      stage.expires();
      await stage.refreshes(2, 1);
      return await healed(stage);
    },
  },
  {
    title:
      'a change leaves a floor, it expires; late changes come, the older one for a floor, the newer one above it: an old value',
    without: 'changes never create a tombstone',
    async tell(stage) {
      for (let commits = 0; commits < 3; commits++) {
        stage.database.commit();
      }
      await stage.refreshes(4, 3);
      stage.expires();
      await stage.refreshes(2, 1);
      await stage.refreshes(3, 2);
      return await healed(stage);
    },
  },
  {
    title: 'a sweep leaves a lease, whose loader read what the sweep took away: stale for ever',
    without: 'a sweep kills leases',
    async tell(stage) {
      const [a, b] = [await stage.replica('a'), await stage.replica('b')];
      const load = stage.load(a);
      await stage.lets(...by('a', LOADS));
      stage.database.truncate();
      const swept = stage.sweep(b, 1);
      await stage.lets('b: sweep');
      await stage.rest();
      await Promise.all([load, swept]);
      return await healed(stage);
    },
  },
  {
    title: 'a sweep leaves what is stamped at its version, which a truncate does not move: stale for ever',
    without: 'a sweep takes what is stamped at its version',
    async tell(stage) {
      const a = await stage.replica('a');
      const load = stage.load(a);
      await stage.rest();
      await load;
      stage.database.truncate();
      const swept = stage.sweep(a, 1);
      await stage.rest();
      await swept;
      return await healed(stage);
    },
  },
];

/** A cache that takes every set of its loaders for applied. */
class UnseenRefusals extends CacheStore {
  readonly durable = false;
  readonly shared = false;

  constructor(private readonly store: CacheStore) {
    super();
  }

  override async set(write: StoreWrite, leaseToken?: string): Promise<SetReply> {
    return { ...(await this.store.set(write, leaseToken)), outcome: 'applied' };
  }

  override setAll: CacheStore['setAll'] = (...call) => this.store.setAll(...call);
  override stamp: CacheStore['stamp'] = (...call) => this.store.stamp(...call);
  override get: CacheStore['get'] = (...call) => this.store.get(...call);
  override getMany: CacheStore['getMany'] = (...call) => this.store.getMany(...call);
  override refresh: CacheStore['refresh'] = (...call) => this.store.refresh(...call);
  override invalidate: CacheStore['invalidate'] = (...call) => this.store.invalidate(...call);
  override evict: CacheStore['evict'] = (...call) => this.store.evict(...call);
  override getOrLease: CacheStore['getOrLease'] = (...call) => this.store.getOrLease(...call);
  override renewLease: CacheStore['renewLease'] = (...call) => this.store.renewLease(...call);
  override releaseLease: CacheStore['releaseLease'] = (...call) => this.store.releaseLease(...call);
  override sweep: CacheStore['sweep'] = (...call) => this.store.sweep(...call);
}

describe('the stories behind the rules of the cache', () => {
  let stage: Stage | undefined;

  afterEach(async () => {
    await stage?.close();
  });

  it.each(stories)('does not happen: $title', async ({ tell, setting }) => {
    stage = new Stage(setting);
    expect(await tell(stage)).toBe(true);
  });

  it.each(stories)('happens without the rule: $title', async ({ tell, without, setting }) => {
    stage = new Stage({ ...setting, ...(typeof without === 'string' ? withoutRule(without) : without) });
    expect(await tell(stage)).toBe(false);
  });

  it('V5 by a change: a loader that reads its stamp earlier than its data makes its sync invalidate, for a refresh goes back in time', async () => {
    const outcomes: boolean[] = [];
    for (const change of ['invalidates', 'refreshes'] as const) {
      stage = new Stage({ stamp: 'earlier' });
      const a = await stage.replica('a');
      const load = stage.load(a);
      await stage.lets(...by('a', [...LEASED, 'loader reads']));
      stage.database.commit();
      stage.database.commit();
      await stage.lets(...by('a', ['loader answers', 'set(1', 'reply of set']));
      const shown = (await load) ?? 0;
      await stage[change](2, 1);
      stage.forgets(a);
      const again = stage.get(a);
      await stage.rest();
      outcomes.push(((await again) ?? shown) >= shown);
      await stage.close();
    }
    expect(outcomes).toEqual([true, false]);
  });

  it('committed() cleans its own replica; by the message alone, a read in between shows less than the commit', async () => {
    const outcomes: boolean[] = [];
    for (const through of ['a', 'b'] as const) {
      stage = new Stage();
      const replicas = { a: await stage.replica('a'), b: await stage.replica('b') };
      const load = stage.load(replicas.a);
      await stage.rest();
      await load;
      const own = stage.database.commit();
      const committed = stage.committed(replicas[through], own.version);
      await stage.lets(`${through}: invalidate(2`, `${through}: reply of invalidate`);
      await committed;
      outcomes.push((replicas.a.cache.peek('row')?.content ?? own.content) >= own.content);
      await stage.rest();
      await stage.close();
    }
    expect(outcomes).toEqual([true, false]);
  });
});
