import { Logger } from '@nestjs/common';
import { EntryVersion } from '@smartpulse/redis-cache';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CacheApps } from '../../support/redis/cache-apps.js';
import { ReaderLoad } from '../../support/redis/reader-load.js';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer, type RedisServerOptions } from '../../support/redis/redis-server.js';

const version = redisForTests();
const WAIT = { timeout: 20_000, interval: 20 };
const KEPT = { wentBack: [], missedOwn: [], errors: [] };

describe.runIf(version !== undefined)(`caches on Redis ${version} under pressure`, () => {
  const apps = new CacheApps();
  let server: RedisServer;
  let admin: Redis;

  beforeAll(() => Logger.overrideLogger(false));
  afterEach(async () => {
    await apps.close();
    admin.disconnect();
    await server.stop();
  });
  afterAll(() => Logger.overrideLogger(true));

  async function begin(options: RedisServerOptions = {}): Promise<void> {
    server = await RedisServer.start(options);
    admin = new Redis(server.url);
  }

  it.each(['allkeys-random', 'allkeys-lru', 'volatile-ttl'])(
    'shows no reader a key going back while the server evicts whatever it likes (%s): values, leases, marks',
    async (policy) => {
      await begin({ options: { maxmemory: '4mb', 'maxmemory-policy': policy } });
      const replicas = [await apps.start({ url: server.url }), await apps.start({ url: server.url })];
      const load = new ReaderLoad(replicas, { keys: 200, payloadBytes: 40_000 });
      await expect.poll(async () => field(await admin.info('stats'), 'evicted_keys'), WAIT).toBeGreaterThan(300);
      const report = await load.stop();
      expect(report).toMatchObject(KEPT);
      expect(report.changes).toBeGreaterThan(20);
      await expect.poll(() => load.wrongAtRest(), WAIT).toEqual([]);
    },
  );

  it('answers from its loaders while the server is full and evicts nothing, and counts that as no outage', async () => {
    await begin({ options: { maxmemory: '4mb', 'maxmemory-policy': 'noeviction' } });
    const cache = await apps.start({ url: server.url });
    const value = 'x'.repeat(100_000);
    const flushes = cache.stats().l1Flushes;
    for (let key = 0; key < 80; key++) {
      const hit = await cache.getOrLoad(`k${key}`, async () => ({ value, version: stamp(1) }));
      expect(hit.value).toBe(value);
    }
    expect(field(await admin.info('stats'), 'evicted_keys')).toBe(0);
    expect(apps.circuits).toMatchObject([{ state: 'closed', opened: 0 }]);
    // Numbers of messages that came to nothing are missed by nobody: the first level stays.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(cache.stats().l1Flushes).toBe(flushes);
    // What was stored before is still read.
    expect((await cache.get('k0'))?.value).toBe(value);
  });

  it('lets a few readers wait for a server that hangs, and then none until it answers again', async () => {
    await begin();
    const cache = await apps.start({ url: server.url });
    await server.freeze();
    await expect
      .poll(async () => {
        await cache.get('k').catch(() => undefined);
        return apps.circuits;
      }, WAIT)
      .toMatchObject([{ state: 'open' }]);
    const before = cache.stats().storeFailures;
    // Each would wait for its own second.
    const hits = await Promise.all(
      Array.from({ length: 100 }, (_, key) =>
        cache.getOrLoad(`k${key}`, async () => ({ value: 'v', version: stamp(1) })),
      ),
    );
    expect(hits.every(({ stale, value }) => stale && value === 'v')).toBe(true);
    expect(cache.stats().storeFailures).toBeGreaterThan(before);
    await server.thaw();
    await expect
      .poll(async () => (await cache.getOrLoad('k', async () => ({ value: 'v', version: stamp(1) }))).stale, WAIT)
      .toBe(false);
    expect(apps.circuits).toMatchObject([{ state: 'closed' }]);
  });

  it('leaves no connection behind when the app is closed, and closes in time when the server hangs', async () => {
    await begin();
    await apps.start({ url: server.url });
    const clients = async () =>
      String(await admin.client('LIST'))
        .trim()
        .split('\n').length;
    expect(await clients()).toBe(3);
    await apps.close();
    await expect.poll(clients, WAIT).toBe(1);

    await apps.start({ url: server.url });
    await server.freeze();
    await apps.close();
    await server.thaw();
    await expect.poll(clients, WAIT).toBe(1);
  });
});

function field(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]);
}

function stamp(at: number): EntryVersion {
  return new EntryVersion(1n, BigInt(at));
}
