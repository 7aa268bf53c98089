import { Logger } from '@nestjs/common';
import { CrossSlotError, EntryVersion } from '@smartpulse/redis-cache';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CacheApps, CHANNEL, GENERATION, GenerationLog, storedName } from '../../support/redis/cache-apps.js';
import { ReaderLoad } from '../../support/redis/reader-load.js';
import { type ClusterNode, RedisCluster } from '../../support/redis/redis-cluster.js';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { redisSubject } from '../../support/redis/redis-subject.js';
import { startTransactions, TransactionLoad } from '../../support/redis/transaction-load.js';
import { runRedisContracts } from './redis-contracts.js';

const version = redisForTests();
const WAIT = { timeout: 20_000, interval: 20 };
const KEPT = { wentBack: [], missedOwn: [], errors: [] };

describe.runIf(version !== undefined)(`caches on a cluster of Redis ${version}`, () => {
  let cluster: RedisCluster;
  const apps = new CacheApps();

  beforeAll(async () => {
    Logger.overrideLogger(false);
    cluster = await RedisCluster.start({ masters: 3, replicas: 1 });
  });
  // Each test has a table of its own, whose stamps begin anew.
  beforeEach(async () => {
    await cluster.whenComplete();
    await cluster.empty();
  });
  afterEach(() => apps.close());
  afterAll(async () => {
    await cluster?.stop();
    Logger.overrideLogger(true);
  });

  const site = () => ({ url: cluster.url, admins: async () => cluster.masterClients() });
  runRedisContracts('a cluster of Redis', site);

  it('spreads keys over all masters, and each name keeps to its slot whatever the generation is', async () => {
    const cache = await apps.start({ url: cluster.url });
    for (let at = 0; at < 60; at++) {
      await cache.getOrLoad(`k${at}`, async () => ({ value: 'v', version: stamp(1) }));
    }
    const sizes = await Promise.all(cluster.masters.map(({ redis }) => redis.dbsize()));
    expect(sizes.every((size) => size > 5)).toBe(true);
  });

  it('duplicates a client of the app, and leaves that one as it is', async () => {
    const client = cluster.client();
    const cache = await apps.start({ client });
    expect((await cache.getOrLoad('k', async () => ({ value: 'v', version: stamp(1) }))).level).toBe('source');
    expect((await cache.getOrLoad('k', async () => ({ value: 'w', version: stamp(2) }))).level).toBe('l1');
    await apps.close();
    expect(client.status).toBe('ready');
    await client.set('of-the-app', '1');
    expect(await client.get('of-the-app')).toBe('1');
    client.disconnect();
  });

  it('follows slots that move to and fro under load: nobody sees a key go back, no call fails', async () => {
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
    const replicas = [await apps.start({ url: cluster.url }), await apps.start({ url: cluster.url })];
    const log = new GenerationLog(() => generationOf(cluster));
    const load = new ReaderLoad(replicas, { keys });
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(500);
    for (let move = 0; move < 12; move++) {
      const key = storedName(keys[move % 3] ?? '');
      const from = await cluster.ownerOf(key);
      const to = cluster.masters[(cluster.masters.indexOf(from) + 1 + (move % 2)) % cluster.masters.length] ?? from;
      const before = load.reads;
      // In the middle of it: what is left is here, what is new there.
      await cluster.moveSlot(key, to, async () => {
        await expect.poll(() => load.reads, WAIT).toBeGreaterThan(before + 20);
      });
      await expect.poll(() => load.reads, WAIT).toBeGreaterThan(before + 100);
      expect((await cluster.ownerOf(key)).id).toBe(to.id);
    }
    expect(apps.trusted).toBe(true);
    const report = await load.stop();
    expect(report).toMatchObject(KEPT);
    expect(replicas.map((cache) => cache.stats().storeFailures)).toEqual([0, 0]);
    await expect.poll(() => load.wrongAtRest(), WAIT).toEqual([]);
    expect(await log.end()).toHaveLength(1);
  });

  it('runs transactions at the master of their slot and follows it to and fro: N writers that add M times end at N·M', async () => {
    const client = cluster.client();
    const apps = [await startTransactions({ url: cluster.url }), await startTransactions({ client })];
    const [key, other] = ['{stock}', '{stock}:other'];
    const load = new TransactionLoad(
      apps.map(({ transactions }) => transactions),
      key,
    );
    for (let move = 0; move < 6; move++) {
      const before = load.committed;
      await expect.poll(() => load.committed, WAIT).toBeGreaterThan(before + 20);
      const from = await cluster.ownerOf(key);
      const to = cluster.masters[(cluster.masters.indexOf(from) + 1 + (move % 2)) % cluster.masters.length] ?? from;
      await from.redis.set(other, 'x');
      await cluster.moveSlot(key, to, async () => {
        const halfway = load.committed;
        await expect.poll(() => load.committed, WAIT).toBeGreaterThan(halfway + 5);
      });
    }
    await load.stop();
    expect(load).toMatchObject({ errors: [], ambiguous: 0, refused: 0 });
    expect(await client.get(key)).toBe(String(load.committed));
    const [transactions] = apps.map((app) => app.transactions);
    await expect(transactions?.run(['a', 'b'], async () => {})).rejects.toThrow(CrossSlotError);
    for (const foreign of ['a', 'b', 'c', 'd']) {
      await expect(transactions?.run([key], async (tx) => tx.queue('SET', foreign, '1'))).rejects.toThrow(
        CrossSlotError,
      );
      expect(await client.exists(foreign)).toBe(0);
    }
    await Promise.all(apps.map((app) => app.close()));
    expect(client.status).toBe('ready');
    client.disconnect();
  });

  it('moves the slot of the generation itself, and goes on', async () => {
    const cache = await apps.start({ url: cluster.url });
    const before = await generationOf(cluster);
    const from = await cluster.ownerOf(GENERATION);
    const to = cluster.masters.find(({ id }) => id !== from.id) ?? from;
    await cluster.moveSlot(GENERATION, to);
    const other = await apps.start({ url: cluster.url });
    expect(await generationOf(cluster)).toBe(before);
    await cache.getOrLoad('k', async () => ({ value: 'v', version: stamp(1) }));
    expect((await other.getOrLoad('k', async () => ({ value: 'w', version: stamp(2) }))).value).toBe('v');
  });

  it('uses no new generation while another process may still write to the one before', async () => {
    const subjects = [await redisSubject(site()), await redisSubject(site())];
    const key = '{test:!gen}';
    const keeper = (await cluster.ownerOf(key)).redis;
    const first = Number(await keeper.get(key));
    const lastUseMs = new Map<number, number>();
    const firstUseMs = new Map<number, number>();
    // As a third process begins one that has come to a new life of a master.
    await keeper
      .multi()
      .set(key, String(first + 1))
      .set(`${key}:fence`, '1', 'PX', 1_000)
      .exec();
    for (const deadline = performance.now() + 5_000; firstUseMs.size < 2 && performance.now() < deadline;) {
      for (const { store, link } of subjects) {
        const generation = Number(link.stored('').slice(1));
        const refused = await store.get('{test:contract:a}:v').then(
          () => false,
          () => true,
        );
        if (!refused) {
          firstUseMs.set(generation, firstUseMs.get(generation) ?? performance.now());
          lastUseMs.set(generation, performance.now());
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect([...firstUseMs.keys()]).toEqual([first, first + 1]);
    expect((firstUseMs.get(first + 1) ?? 0) - (lastUseMs.get(first) ?? 0)).toBeGreaterThan(300);
    await Promise.all(subjects.map((subject) => subject.close()));
  });

  it('sweeps every key, also one that moves from where it was not looked for yet to where it was', async () => {
    const subject = await redisSubject(site());
    const { store } = subject;
    const origin = { channel: 'test:contract:!inv', source: 'a', synced: true };
    const names = Array.from({ length: 60 }, (_, at) => `{test:contract:k${at}}:v`);
    for (const key of names) {
      await store.getOrLease(key, 't', 60_000);
      await store.set({ ...origin, key, version: stamp(1), payload: '1', ttlMs: 60_000 }, 't');
    }
    const byId = [...cluster.masters].sort((one, other) => (one.id < other.id ? -1 : 1));
    const [first, last] = [byId[0], byId.at(-1)];
    const owners = await Promise.all(names.map((name) => cluster.ownerOf(name)));
    const moving = names[owners.findIndex((owner) => owner.id === last?.id)] ?? '';
    const request = {
      ...origin,
      keys: { before: '{test:contract:', after: '}:v' },
      version: stamp(5),
      limit: 1_000,
      tombstoneTtlMs: 1_000,
    };
    // With so high a limit one call walks over the first master.
    let { swept, cursor } = await store.sweep(request);
    expect(swept).toBeGreaterThan(0);
    if (first === undefined) {
      throw new Error('There is no master.');
    }
    await cluster.moveSlot(moving, first);
    while (cursor !== null) {
      const reply = await store.sweep(request, cursor);
      swept += reply.swept;
      cursor = reply.cursor;
    }
    expect(swept).toBe(names.length);
    expect((await store.getMany(names)).filter((entry) => entry !== undefined)).toEqual([]);
    await subject.close();
  });

  it('distrusts while the node that brings its messages is away, and is brought them again', async () => {
    const cache = await apps.start({ url: cluster.url });
    const other = await apps.start({ url: cluster.url });
    await other.getOrLoad('k', async () => ({ value: 'v', version: stamp(1) }));
    await cache.getOrLoad('k', async () => ({ value: 'v', version: stamp(1) }));
    const hearer = await cluster.hearerOf(CHANNEL);
    await hearer.server.freeze();
    await expect.poll(() => apps.trusted, WAIT).toBe(false);
    await hearer.server.thaw();
    await expect.poll(() => apps.trusted, WAIT).toBe(true);
    await expect
      .poll(async () => {
        await other.invalidate('k', stamp(2));
        return (await cache.getOrLoad('k', async () => ({ value: 'w', version: stamp(2) }))).value;
      }, WAIT)
      .toBe('w');
  });

  it('begins one new generation when a master is killed and comes back empty; nobody sees a key go back', async () => {
    const replicas = [await apps.start({ url: cluster.url }), await apps.start({ url: cluster.url })];
    const load = new ReaderLoad(replicas, { keys: 24 });
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(500);
    const log = new GenerationLog(() => generationOf(cluster));
    const victim = await aMasterWithout(GENERATION);
    await expect.poll(() => log.seen.size, WAIT).toBe(1);
    await victim.server.kill();
    await expect.poll(() => apps.trusted, WAIT).toBe(false);
    await victim.server.restart();
    await cluster.whenComplete();
    await expect.poll(() => apps.trusted, WAIT).toBe(true);
    const [reads, stale] = [load.reads, load.stale];
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(reads + 1_000);
    expect(load.stale - stale).toBeLessThan(100);
    const report = await load.stop();
    expect(report).toMatchObject(KEPT);
    expect(report.stale).toBeGreaterThan(0);
    await expect.poll(() => load.wrongAtRest(), WAIT).toEqual([]);
    expect(await log.end()).toHaveLength(2);
  });

  it('shows no reader a key going back when a replica takes over that has not all of its master, and begins one new generation', async () => {
    const [first] = cluster.masters;
    const replicas = [await apps.start({ url: cluster.url }), await apps.start({ url: cluster.url })];
    const load = new ReaderLoad(replicas, { keys: 24 });
    const app = await startTransactions({ url: cluster.url });
    const writers = new TransactionLoad([app.transactions], await aKeyOf(first));
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(500);
    const log = new GenerationLog(() => generationOf(cluster));
    await cluster.breakReplication();
    const broken = load.reads;
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(broken + 1_000);
    await first?.server.kill();
    await expect.poll(() => apps.trusted, WAIT).toBe(false);
    await expect.poll(() => apps.trusted, WAIT).toBe(true);
    const reads = load.reads;
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(reads + 1_000);
    // The old one comes back as a replica of who took over; nobody goes there.
    await first?.server.restart();
    const later = load.reads;
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(later + 1_000);
    const report = await load.stop();
    expect(report).toMatchObject(KEPT);
    await expect.poll(() => load.wrongAtRest(), WAIT).toEqual([]);
    expect(await log.end()).toHaveLength(2);
    // Transactions were refused while there was no master for their slot, and go on at who took over.
    const { committed, refused } = writers;
    expect(refused).toBeGreaterThan(0);
    await expect.poll(() => writers.committed, WAIT).toBeGreaterThan(committed + 20);
    await writers.stop();
    expect(writers.errors).toEqual([]);
    await app.close();
  });

  async function aKeyOf(master: ClusterNode | undefined): Promise<string> {
    for (let at = 0; ; at++) {
      if ((await cluster.ownerOf(`stock-${at}`)).id === master?.id) {
        return `stock-${at}`;
      }
    }
  }

  async function aMasterWithout(key: string) {
    const keeper = await cluster.ownerOf(key);
    // Not the first: its replica would take over.
    const victim = cluster.masters.slice(1).find(({ id }) => id !== keeper.id);
    if (victim === undefined) {
      throw new Error('There is no other master.');
    }
    return victim;
  }
});

/** The generation, asked of whoever keeps it. */
async function generationOf(cluster: RedisCluster): Promise<string | null> {
  return (await cluster.ownerOf(GENERATION)).redis.get(GENERATION);
}

function stamp(at: number): EntryVersion {
  return new EntryVersion(1n, BigInt(at));
}
