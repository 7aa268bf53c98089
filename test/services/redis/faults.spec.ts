import { Logger } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  CacheRegistry,
  defineCache,
  EntryVersion,
  type Loaded,
  RedisCacheModule,
  type RedisCacheModuleOptions,
  RedisCacheProbe,
  type VersionedCache,
} from '@smartpulse/redis-cache';
import { ResilienceModule } from '@smartpulse/resilience';
import { Redis, type RedisOptions } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../support/fault-proxy/fault-proxy.js';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';

const version = redisForTests();
const WAIT = { timeout: 15_000, interval: 20 };
const HEARTBEAT_MS = 200;
const rows = defineCache<number>({ name: 'rows', synced: true });

/** A table whose rows and stamp only grow. */
class Table {
  #at = 0n;
  loads = 0;

  commit(): EntryVersion {
    this.#at += 1n;
    return this.stamp;
  }

  get stamp(): EntryVersion {
    return new EntryVersion(1n, this.#at);
  }

  readonly load = async (): Promise<Loaded<number>> => {
    this.loads += 1;
    return { value: Number(this.#at), version: this.stamp };
  };
}

describe.runIf(version !== undefined)(`caches on Redis ${version} when something breaks`, () => {
  let server: RedisServer;
  let admin: Redis;
  const apps: TestingModule[] = [];

  beforeAll(() => Logger.overrideLogger(false));
  afterAll(() => Logger.overrideLogger(true));
  beforeEach(async () => {
    server = await RedisServer.start();
    admin = new Redis(server.url, { retryStrategy: () => 50 });
    admin.on('error', () => {});
  });
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
    admin.disconnect();
    await server.stop();
  });

  async function start(
    where: string | Pick<RedisCacheModuleOptions, 'url' | 'client'> = server.url,
  ): Promise<{ app: TestingModule; cache: VersionedCache<number> }> {
    const app = await Test.createTestingModule({
      imports: [
        ResilienceModule.forRoot(),
        RedisCacheModule.forRoot({
          ...(typeof where === 'string' ? { url: where } : where),
          prefix: 'shop',
          heartbeatMs: HEARTBEAT_MS,
        }),
        RedisCacheModule.forFeature([rows]),
      ],
    }).compile();
    await app.init();
    apps.push(app);
    return { app, cache: app.get(CacheRegistry).get<number>('rows') };
  }

  it('serves a second replica from what the first one loaded, and drops its first level when a change comes', async () => {
    const table = new Table();
    const [one, two] = [await start(), await start()];
    table.commit();
    expect(await one.cache.getOrLoad('k', table.load)).toMatchObject({ value: 1, level: 'source' });
    expect(await two.cache.getOrLoad('k', table.load)).toMatchObject({ value: 1, level: 'l2' });
    expect(await two.cache.getOrLoad('k', table.load)).toMatchObject({ value: 1, level: 'l1' });
    expect(table.loads).toBe(1);

    await one.cache.invalidate('k', table.commit());
    await expect.poll(async () => (await two.cache.getOrLoad('k', table.load)).value, WAIT).toBe(2);
  });

  it('runs one loader for 500 callers on two replicas', async () => {
    const table = new Table();
    const [one, two] = [await start(), await start()];
    table.commit();
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, caller) => (caller % 2 === 0 ? one : two).cache.getOrLoad('k', table.load)),
    );
    expect(new Set(answers.map((answer) => answer.value))).toEqual(new Set([1]));
    expect(table.loads).toBe(1);
  });

  it('goes on when the server has forgotten its scripts', async () => {
    const table = new Table();
    const { cache } = await start();
    table.commit();
    await admin.script('FLUSH');
    expect(await cache.getOrLoad('k', table.load)).toMatchObject({ value: 1, stale: false });
    await admin.script('FLUSH');
    await cache.invalidate('k', table.commit());
    expect(await cache.getOrLoad('k', table.load)).toMatchObject({ value: 2, stale: false });
  });

  it('distrusts the first level at once when its subscription is killed, and trusts it again, empty, on a new one', async () => {
    const table = new Table();
    const [one, two] = [await start(), await start()];
    table.commit();
    await one.cache.getOrLoad('k', table.load);
    await two.cache.getOrLoad('k', table.load);

    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await one.cache.invalidate('k', table.commit());
    await expect.poll(() => one.cache.trusted && two.cache.trusted, WAIT).toBe(true);
    expect((await two.cache.getOrLoad('k', table.load)).value).toBe(2);
  });

  it('answers from its loader while the server is paused, and from the server afterwards', async () => {
    const table = new Table();
    const { app, cache } = await start();
    table.commit();
    await admin.call('CLIENT', 'PAUSE', '1500', 'ALL');
    const hit = await cache.getOrLoad('k', table.load);
    expect(hit.value).toBe(1);
    expect(app.get(RedisCacheProbe).check().status).toBe('degraded');
    await expect.poll(async () => (await cache.getOrLoad('k2', table.load)).stale, WAIT).toBe(false);
    await expect.poll(() => app.get(RedisCacheProbe).check().status, WAIT).toBe('up');
  });

  it('finds out by its own heartbeat that a connection is half open, and takes another one', async () => {
    const table = new Table();
    await using proxy = await FaultProxy.before(server.url);
    const [one, two] = [await start(), await start(proxy.url)];
    table.commit();
    await one.cache.getOrLoad('k', table.load);
    await two.cache.getOrLoad('k', table.load);

    const accepted = proxy.accepted;
    proxy.silence();
    await one.cache.invalidate('k', table.commit());
    await expect.poll(() => two.cache.trusted, WAIT).toBe(false);
    await expect.poll(() => two.cache.trusted && proxy.accepted > accepted, WAIT).toBe(true);
    expect((await two.cache.getOrLoad('k', table.load)).value).toBe(2);
  });

  it('shows no reader a key going back when the server is killed and comes back without what it had acknowledged last', async () => {
    const table = new Table();
    const [{ cache }, other] = [await start(), await start()];
    table.commit();
    await cache.getOrLoad('k', table.load);
    // It comes back with this, and without what follows.
    await admin.save();
    await cache.refresh('k', 2, table.commit());
    expect((await other.cache.getOrLoad('k', table.load)).value).toBe(2);
    let highest = 2;
    const seen: number[] = [];
    await server.kill();
    const restarting = server.restart();
    for (let read = 0; read < 200; read++) {
      const { value = 0, stale } = await (read % 2 === 0 ? cache : other.cache).getOrLoad('k', table.load);
      if (!stale) {
        seen.push(value);
        expect(value).toBeGreaterThanOrEqual(highest);
        highest = Math.max(highest, value);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await restarting;
    await expect.poll(() => cache.trusted, WAIT).toBe(true);
    expect((await cache.getOrLoad('k', table.load)).value).toBe(2);
    expect(seen.length).toBeGreaterThan(10);
  });

  it('begins one new generation per life of the server, however many replicas come to it', async () => {
    await Promise.all([start(), start(), start()]);
    const first = await admin.get('{shop:!gen}');
    await start();
    expect(await admin.get('{shop:!gen}')).toBe(first);
    await admin.save();
    await server.kill();
    await server.restart();
    await expect.poll(() => apps.every((app) => app.get(CacheRegistry).get('rows').trusted), WAIT).toBe(true);
    await expect.poll(async () => admin.get('{shop:!gen}').catch(() => first), WAIT).not.toBe(first);
    const second = await admin.get('{shop:!gen}');
    expect(Number(second)).toBeGreaterThan(Number(first));
    await start();
    expect(await admin.get('{shop:!gen}')).toBe(second);
  });

  it('comes together on one generation again when the marks of it were flushed, and no change is missed by anybody', async () => {
    const table = new Table();
    const one = await start();
    await admin.save();
    await server.kill();
    await server.restart();
    await expect.poll(() => one.cache.trusted, WAIT).toBe(true);
    table.commit();
    await expect.poll(async () => (await one.cache.getOrLoad('k', table.load)).stale, WAIT).toBe(false);
    await admin.flushall();
    const two = await start();
    await two.cache.getOrLoad('k', table.load);
    // The first one has heard of nothing yet.
    await one.cache.invalidate('k', table.commit());
    await expect.poll(async () => (await two.cache.getOrLoad('k', table.load)).value, WAIT).toBe(2);
    await two.cache.invalidate('k', table.commit());
    await expect.poll(async () => (await one.cache.getOrLoad('k', table.load)).value, WAIT).toBe(3);
    await two.cache.getOrLoad('k', table.load);
    // Both keep it under one name.
    expect(await admin.keys('{shop:rows:k}:v.*')).toHaveLength(1);
  });

  it("takes nothing over from a client of the app's that would change commands or messages, and leaves it as it is", async () => {
    const table = new Table();
    const client = new Redis(server.url, { keyPrefix: 'app:', commandTimeout: 5_000, stringNumbers: true });
    const { cache } = await start({ client });
    table.commit();
    await cache.getOrLoad('k', table.load);
    expect(await admin.keys('*rows:k*')).toEqual([expect.stringMatching(/^\{shop:rows:k\}:v\.\d+$/)]);
    await (await start()).cache.invalidate('k', table.commit());
    await expect.poll(async () => (await cache.getOrLoad('k', table.load)).value, WAIT).toBe(2);
    expect(client.mode).toBe('normal');
    await Promise.all(apps.splice(0).map((app) => app.close()));
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
  });

  it('evicts at a new master what it had changed at the old one, which took the change along', async () => {
    const table = new Table();
    const place = { port: server.port };
    // Where sentinels would lead: from one server to another one.
    class MovingRedis extends Redis {
      override duplicate(override?: Partial<RedisOptions>): Redis {
        return new Redis({ ...this.options, ...override, port: place.port });
      }
    }
    const template = new MovingRedis(server.port, { lazyConnect: true });
    await using successor = await RedisServer.start();
    const one = await start({ client: template });
    table.commit();
    await one.cache.getOrLoad('k', table.load);
    const two = await start({ url: successor.url });
    await two.cache.getOrLoad('k', table.load);
    // The old master acknowledges it, and nobody else hears of it.
    await one.cache.invalidate('k', table.commit());
    expect((await two.cache.getOrLoad('k', table.load)).value).toBe(1);
    place.port = successor.port;
    await server.kill();
    await expect.poll(() => one.cache.trusted, WAIT).toBe(true);
    await expect.poll(async () => (await two.cache.getOrLoad('k', table.load)).value, WAIT).toBe(2);
    expect((await one.cache.getOrLoad('k', table.load)).value).toBe(2);
    await Promise.all(apps.splice(0).map((app) => app.close()));
  });

  it('forgets nothing that is newer when everything is flushed, and loads again', async () => {
    const table = new Table();
    const { cache } = await start();
    table.commit();
    await cache.getOrLoad('k', table.load);
    await admin.flushall();
    await cache.invalidate('k', table.commit());
    expect(await cache.getOrLoad('k', table.load)).toMatchObject({ value: 2, stale: false });
  });
});
