import { Logger } from '@nestjs/common';
import { EntryVersion } from '@smartpulse/redis-cache';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CacheApps, GENERATION, GenerationLog } from '../../support/redis/cache-apps.js';
import { ReaderLoad } from '../../support/redis/reader-load.js';
import { RedisSentinels } from '../../support/redis/redis-sentinels.js';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { startTransactions, TransactionLoad } from '../../support/redis/transaction-load.js';
import { runRedisContracts } from './redis-contracts.js';

const version = redisForTests();
const WAIT = { timeout: 20_000, interval: 20 };
const KEPT = { wentBack: [], missedOwn: [], errors: [] };

describe.runIf(version !== undefined)(`caches on Redis ${version} with sentinels`, () => {
  let set: RedisSentinels;
  const apps = new CacheApps();

  beforeAll(async () => {
    Logger.overrideLogger(false);
    set = await RedisSentinels.start({ replicas: 2 });
  });
  // Each test has a table of its own, whose stamps begin anew.
  beforeEach(() => set.ask((redis) => redis.flushall()));
  afterEach(() => apps.close());
  afterAll(async () => {
    await set?.stop();
    Logger.overrideLogger(true);
  });

  runRedisContracts('Redis by sentinels', () => ({ url: set.url, admins: async () => [set.client()] }));

  it('duplicates a client of the app, and leaves that one as it is', async () => {
    const client = set.client();
    const cache = await apps.start({ client });
    expect((await cache.getOrLoad('k', async () => ({ value: 'v', version: stamp(1) }))).level).toBe('source');
    expect((await cache.getOrLoad('k', async () => ({ value: 'w', version: stamp(2) }))).level).toBe('l1');
    expect(client.mode).toBe('normal');
    await apps.close();
    expect(client.status).toBe('ready');
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
  });

  it('leaves a master that hands over while it runs, transactions too, and begins one new generation', async () => {
    const replicas = [await apps.start({ url: set.url }), await apps.start({ url: set.url })];
    const before = await set.master();
    const admin = set.client();
    const doing = [await startTransactions({ url: set.url }), await startTransactions({ client: admin })];
    const writers = new TransactionLoad(
      doing.map(({ transactions }) => transactions),
      'stock',
    );
    const first = await admin.get(GENERATION);
    const load = new ReaderLoad(replicas, { keys: 12 });
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(500);
    await expect.poll(() => writers.committed, WAIT).toBeGreaterThan(100);
    const log = new GenerationLog(() => set.ask((redis) => redis.get(GENERATION)));
    await set.failover();
    await expect.poll(async () => (await set.master()).port, WAIT).not.toBe(before.port);
    // The old one goes on serving for a moment.
    await expect
      .poll(async () => Number(await set.ask((redis) => redis.get(GENERATION))), WAIT)
      .toBeGreaterThan(Number(first));
    await expect.poll(() => apps.trusted, WAIT).toBe(true);
    const reads = load.reads;
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(reads + 500);
    expect(await load.stop()).toMatchObject(KEPT);
    await expect.poll(() => load.wrongAtRest(), WAIT).toEqual([]);
    const { committed } = writers;
    await expect.poll(() => writers.committed, WAIT).toBeGreaterThan(committed + 100);
    await writers.stop();
    expect(writers.errors).toEqual([]);
    expect((await log.end()).filter((one) => one !== first)).toHaveLength(1);
    // None was done twice; what the old one had acknowledged and not handed over is gone.
    const value = Number(await set.ask((redis) => redis.get('stock')));
    expect(value).toBeLessThanOrEqual(writers.committed + writers.ambiguous);
    expect(value).toBeGreaterThan(100);
    await Promise.all(doing.map((app) => app.close()));
    expect(admin.status).toBe('ready');
    admin.disconnect();
  });

  it('shows no reader a key going back when the master is killed with changes that no replica has, and goes on by itself', async () => {
    await expect.poll(async () => set.replicasInSync(), WAIT).toBe(2);
    const replicas = [await apps.start({ url: set.url }), await apps.start({ url: set.url })];
    const master = await set.master();
    const before = new Redis(master.url);
    const first = await before.get(GENERATION);
    before.disconnect();
    const load = new ReaderLoad(replicas, { keys: 12 });
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(500);
    await set.breakReplication();
    const broken = load.reads;
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(broken + 1_000);
    const log = new GenerationLog(() => set.ask((redis) => redis.get(GENERATION)));
    await master.kill();
    await expect.poll(() => apps.trusted, WAIT).toBe(false);
    await expect.poll(async () => (await set.master()).port, WAIT).not.toBe(master.port);
    await expect.poll(() => apps.trusted, WAIT).toBe(true);
    const reads = load.reads;
    const stale = load.stale;
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(reads + 1_000);
    expect(load.stale - stale).toBeLessThan(100);
    // The old one comes back, empty, as the master that it was until a sentinel tells it otherwise: nobody goes there.
    await master.restart();
    const later = load.reads;
    await expect.poll(() => load.reads, WAIT).toBeGreaterThan(later + 1_000);
    const report = await load.stop();
    expect(report).toMatchObject(KEPT);
    expect(report.stale).toBeGreaterThan(0);
    await expect.poll(() => load.wrongAtRest(), WAIT).toEqual([]);
    const generations = (await log.end()).filter((one) => one !== first);
    expect(generations).toHaveLength(1);
    expect(Number(generations[0])).toBeGreaterThan(Number(first));
  });
});

function stamp(at: number): EntryVersion {
  return new EntryVersion(1n, BigInt(at));
}
