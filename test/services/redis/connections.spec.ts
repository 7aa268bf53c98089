import { Logger } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  type CacheChannel,
  CacheRegistry,
  CacheStoreUnavailableError,
  defineCache,
  defineTopic,
  EntryVersion,
  InjectCacheChannel,
  RedisCacheModule,
  RedisCacheProbe,
} from '@smartpulse/redis-cache';
import { ResilienceModule, ResilienceRegistry } from '@smartpulse/resilience';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';

const version = redisForTests();
const WAIT = { timeout: 15_000, interval: 20 };
const HEARTBEAT_MS = 200;
const at = (step: bigint): EntryVersion => new EntryVersion(1n, step);
const prices = defineCache<string>({ name: 'prices', synced: false });
const sales = defineCache<string>({ name: 'sales', synced: false });
const signals = defineTopic<number>({ name: 'signals' });

class Reports {
  constructor(readonly channel: CacheChannel) {}
}
InjectCacheChannel('reports')(Reports, undefined, 0);

describe.runIf(version !== undefined)(`named connections on two Redis ${version}`, () => {
  let main: RedisServer;
  let other: RedisServer;
  let admins: readonly Redis[];

  beforeAll(async () => {
    Logger.overrideLogger(false);
    [main, other] = await Promise.all([RedisServer.start(), RedisServer.start()]);
    admins = [main, other].map(({ url }) => {
      const admin = new Redis(url, { retryStrategy: () => 50 });
      admin.on('error', () => {});
      return admin;
    });
  });
  afterAll(async () => {
    admins.forEach((admin) => admin.disconnect());
    await Promise.all([main.stop(), other.stop()]);
    Logger.overrideLogger(true);
  });

  const app = (reports: { readonly url: string; readonly prefix?: string }): Promise<TestingModule> =>
    Test.createTestingModule({
      imports: [
        ResilienceModule.forRoot(),
        RedisCacheModule.forRoot({
          url: main.url,
          prefix: 'shop',
          heartbeatMs: HEARTBEAT_MS,
          connections: { reports: { ...reports, heartbeatMs: HEARTBEAT_MS, connectTimeoutMs: 1_000 } },
        }),
        RedisCacheModule.forFeature([prices]),
        RedisCacheModule.forFeature([sales], { connection: 'reports' }),
      ],
      providers: [Reports],
    }).compile();
  /** Who else is connected to each server. */
  const strangers = (): Promise<readonly number[]> =>
    Promise.all(
      admins.map(async (admin) => {
        const list: unknown = await admin.client('LIST');
        return String(list).trim().split('\n').length - 1;
      }),
    );

  it('goes on with the caches of one server while the other is frozen, and leaves no connection at either', async () => {
    const [one, two] = [await app({ url: other.url }), await app({ url: other.url })];
    await Promise.all([one.init(), two.init()]);
    const [here, there] = [one, two].map((replica) => replica.get(CacheRegistry));
    await here?.get<string>('sales').set('k', 'sold', at(1n));
    await here?.get<string>('prices').set('k', 'old', at(1n));
    expect(await there?.get('sales').get('k')).toMatchObject({ value: 'sold', level: 'l2' });
    expect(await there?.get('prices').get('k')).toMatchObject({ value: 'old', level: 'l2' });
    expect(await Promise.all(admins.map((admin) => admin.keys('*sales:k*')))).toEqual([[], [expect.any(String)]]);
    const heard: number[] = [];
    await two.get(Reports).channel.subscribe(signals, ({ payload }) => void heard.push(payload));
    await one.get(Reports).channel.publish(signals, 'k', 1);
    await expect.poll(() => heard, WAIT).toEqual([1]);

    await other.freeze();
    const circuit = (name: string) => two.get(ResilienceRegistry).get(name).snapshot().circuit?.state;
    await expect.poll(() => there?.get('sales').trusted, WAIT).toBe(false);
    for (let step = 2n; step < 12n; step++) {
      await expect(there?.get('sales').get(`k${step}`)).rejects.toThrow(CacheStoreUnavailableError);
      await here?.get<string>('prices').set('k', `price ${step}`, at(step));
      await expect.poll(async () => (await there?.get('prices').get('k'))?.value, WAIT).toBe(`price ${step}`);
      expect(there?.get('prices').trusted).toBe(true);
    }
    expect([circuit('redis-cache.store'), circuit('redis-cache.store.reports')]).toEqual(['closed', 'open']);
    const { status, details } = two.get(RedisCacheProbe).check();
    expect(status).toBe('degraded');
    expect(details).toMatchObject({ untrusted: 0, storeFailing: false, 'reports.untrusted': 1 });
    expect(there?.get('prices').stats()).toMatchObject({ gaps: 0, storeFailures: 0 });

    await other.thaw();
    await expect.poll(() => there?.get('sales').trusted, WAIT).toBe(true);
    expect((await there?.get('sales').get('k'))?.value).toBe('sold');
    expect(two.get(RedisCacheProbe).check().status).toBe('up');
    await Promise.all([one.close(), two.close()]);
    await expect.poll(strangers, WAIT).toEqual([0, 0]);
  });

  it('does not start without one of them, and leaves no connection at the other', async () => {
    await expect(app({ url: 'redis://127.0.0.1:1' })).rejects.toThrow(/connection "reports"/);
    await expect.poll(strangers, WAIT).toEqual([0, 0]);
  });

  it('takes one server for two connections of two prefixes', async () => {
    const both = await app({ url: main.url, prefix: 'shop-reports' });
    await both.init();
    await both.get(CacheRegistry).get<string>('sales').set('k', 'sold', at(1n));
    await both.get(CacheRegistry).get<string>('prices').set('k', 'price', at(1n));
    expect(await admins[0]?.keys('{shop-reports:sales:k}*')).toHaveLength(1);
    expect(both.get(RedisCacheProbe).check().status).toBe('up');
    await both.close();
    await expect.poll(strangers, WAIT).toEqual([0, 0]);
  });
});
