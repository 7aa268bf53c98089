import { Injectable, type LoggerService, type ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { ResilienceModule } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { EmbeddedCacheServer } from './embedded/embedded-cache.server.js';
import { MemoryInvalidationBus } from './embedded/memory.bus.js';
import { MemoryCacheStore } from './embedded/memory.store.js';
import {
  CacheChannel,
  CacheRegistry,
  CacheStoreUnavailableError,
  defineCache,
  defineFieldsCache,
  defineTopic,
  EntryVersion,
  InjectCache,
  InjectCacheChannel,
  RedisCacheModule,
  type RedisCacheModuleOptions,
  RedisCacheProbe,
  type VersionedCache,
} from './index.js';

const prices = defineCache<string>({ name: 'prices', synced: false });
const sales = defineCache<string>({ name: 'sales', synced: false });
const hours = defineFieldsCache<string>({ name: 'hours', synced: false });
const at = (version: bigint): EntryVersion => new EntryVersion(1n, version);

@Injectable()
class Reports {
  constructor(
    @InjectCache('prices') readonly prices: VersionedCache<string>,
    @InjectCache('sales') readonly sales: VersionedCache<string>,
    @InjectCacheChannel('reports') readonly channel: CacheChannel,
    readonly own: CacheChannel,
  ) {}
}

const lines: string[] = [];
const logger: LoggerService = { log: (line: string) => void lines.push(line), warn: () => {}, error: () => {} };
const root = (options: RedisCacheModuleOptions) => RedisCacheModule.forRoot(options);
const compile = (
  clock: VirtualClock,
  imports: NonNullable<ModuleMetadata['imports']>,
  providers: NonNullable<ModuleMetadata['providers']> = [],
): Promise<TestingModule> =>
  Test.createTestingModule({ imports: [ResilienceModule.forRoot({ clock }), ...imports], providers })
    .setLogger(logger)
    .compile();
const onReports = { connection: 'reports' };

describe('RedisCacheModule with named connections', () => {
  it('keeps caches of two connections apart in store, backplane and channel, and closes all of them', async () => {
    const clock = new VirtualClock();
    const [one, other] = [new EmbeddedCacheServer({ clock }), new EmbeddedCacheServer({ clock })];
    const app = await compile(
      clock,
      [
        root({ url: 'memory://', server: one, connections: { reports: { url: 'memory://', server: other } } }),
        RedisCacheModule.forFeature([prices]),
        RedisCacheModule.forFeature([sales, hours], onReports),
      ],
      [Reports],
    );
    lines.length = 0;
    await app.init();
    const reports = app.get(Reports);
    await reports.prices.set('k', 'price', at(1n));
    await reports.sales.set('k', 'sale', at(1n));
    expect(one.stats().entries).toBe(1);
    expect(other.stats().entries).toBe(1);
    expect(app.get(CacheRegistry).get('sales')).toBe(reports.sales);
    expect(app.get(CacheRegistry).list()).toHaveLength(3);
    expect(lines).toEqual([
      expect.stringMatching(/^Caches app:prices: /),
      expect.stringMatching(/^Caches on the connection "reports" app:sales, app:hours: /),
    ]);

    const heard: string[] = [];
    const topic = defineTopic<number>({ name: 'signals' });
    await reports.channel.subscribe(topic, ({ payload }) => void heard.push(`reports ${payload}`));
    await reports.own.subscribe(topic, ({ payload }) => void heard.push(`default ${payload}`));
    await reports.own.publish(topic, 'k', 1);
    await reports.channel.publish(topic, 'k', 2);
    await clock.settle();
    expect(heard).toEqual(['default 1', 'reports 2']);
    expect(reports.channel).not.toBe(reports.own);
    expect(app.get(CacheChannel)).toBe(reports.own);

    await app.close();
    expect([one.stats().subscribers, other.stats().subscribers]).toEqual([0, 0]);
    await expect(reports.sales.get('k')).rejects.toThrow('closed');
    expect(clock.pendingTimers).toBe(0);
  });

  it('degrades by one connection that is lost, and trusts the caches of the others', async () => {
    const clock = new VirtualClock();
    const server = new EmbeddedCacheServer({ clock });
    const app = await compile(clock, [
      root({ url: 'memory://', connections: { reports: { url: 'memory://', server } } }),
      RedisCacheModule.forFeature([prices]),
      RedisCacheModule.forFeature([sales], onReports),
    ]);
    await app.init();
    const probe = app.get(RedisCacheProbe);
    const whole = { caches: 1, untrusted: 0, storeFailing: false, deafTopics: 0 };
    expect(probe.check()).toEqual({
      status: 'up',
      details: {
        ...whole,
        ...Object.fromEntries(Object.entries(whole).map(([name, value]) => [`reports.${name}`, value])),
      },
    });
    server.close();
    expect(probe.check()).toMatchObject({ status: 'degraded', details: { untrusted: 0, 'reports.untrusted': 1 } });
    const registry = app.get(CacheRegistry);
    expect([registry.get('prices').trusted, registry.get('sales').trusted]).toEqual([true, false]);
    await app.close();
  });

  it('names the path of what is wrong with a connection', () => {
    const wrong = (connections: unknown, url = 'memory://', prefix?: string) => {
      try {
        root({ url, prefix, connections } as RedisCacheModuleOptions);
        return 'accepted';
      } catch (error) {
        return String(error);
      }
    };
    expect(wrong({ reports: {} })).toMatch(/option "connections\.reports\.url": .*or the option "client"/);
    expect(wrong({ reports: { url: 'http://user:secret@x' } })).toMatch(
      /^(?!.*secret).*option "connections\.reports\.url"/,
    );
    expect(wrong({ reports: { url: 'redis://x' } })).toMatch(/option "connections\.reports\.prefix": missing/);
    expect(wrong({ reports: { url: 'redis://x', prefix: 'a:b' } })).toMatch(/option "connections\.reports\.prefix"/);
    expect(wrong({ reports: { url: 'memory://', nodeId: 'n' } })).toMatch(/option "connections\.reports\.nodeId"/);
    expect(wrong({ reports: { url: 'memory://', heartbeatMs: 0 } })).toMatch(
      /option "connections\.reports\.heartbeatMs"/,
    );
    expect(wrong({ 'a b': { url: 'memory://' } })).toMatch(/option "connections\.a b": this name contains/);
    expect(wrong({ default: { url: 'memory://' } })).toMatch(/option "connections\.default": this name stands for/);
  });

  it('refuses two connections of one prefix to one server, however it is named, and takes the prefix of the app where there is no other', () => {
    const clock = new VirtualClock();
    const server = new EmbeddedCacheServer({ clock });
    const bus = new MemoryInvalidationBus(server);
    const store = new MemoryCacheStore(server);
    const both = (one: object, other: object) => () => root({ ...one, connections: { reports: other } });
    const refused = /option "connections\.reports\.prefix": "shop" is that of the connection "default"/;
    const shop = { url: 'redis://cache', prefix: 'shop' };
    expect(both(shop, { url: 'redis://user:secret@CACHE:6379/3' })).toThrow(refused);
    expect(both(shop, { url: 'redis://cache', prefix: 'shop' })).toThrow(refused);
    expect(both(shop, { url: 'redis://cache', prefix: 'other' })).not.toThrow();
    expect(both(shop, { url: 'redis://cache:6380' })).not.toThrow();
    const sentinels = (hosts: string, master: string) => ({
      url: `redis+sentinel://${hosts}/${master}`,
      prefix: 'shop',
    });
    expect(both(sentinels('a,b', 'main'), sentinels('b:26379,c', 'main'))).toThrow(refused);
    expect(both(sentinels('a,b', 'main'), sentinels('a,b', 'second'))).not.toThrow();
    const cluster = (hosts: string) => ({ url: `redis+cluster://${hosts}`, prefix: 'shop' });
    expect(both(cluster('a,b'), cluster('b'))).toThrow(refused);
    const memory = { url: 'memory://', prefix: 'shop' };
    expect(both({ ...memory, server }, { ...memory, server })).toThrow(refused);
    expect(both({ ...memory, bus }, { ...memory, bus })).toThrow(refused);
    expect(both({ ...memory, store }, { ...memory, store })).toThrow(refused);
    expect(both(memory, memory)).not.toThrow();
  });

  it('refuses an unknown connection and a namespace on two of them, also where a factory makes the options', async () => {
    const clock = new VirtualClock();
    const options = { url: 'memory://', connections: { reports: { url: 'memory://' } } };
    const roots = [() => root(options), () => RedisCacheModule.forRootAsync({ useFactory: async () => options })];
    for (const start of roots) {
      const onOthers = { connection: 'others' };
      await expect(compile(clock, [start(), RedisCacheModule.forFeature([sales], onOthers)])).rejects.toThrow(
        /option "connection": "others" is none of default, reports/,
      );
      await expect(compile(clock, [start(), RedisCacheModule.forFeature([], onOthers)])).rejects.toThrow(
        /option "connection": "others" is none of default, reports/,
      );
      await expect(
        compile(clock, [
          start(),
          RedisCacheModule.forFeature([sales]),
          RedisCacheModule.forFeature([sales], onReports),
        ]),
      ).rejects.toThrow(/"sales" is registered on "default" and on "reports"/);
      const twice = [RedisCacheModule.forFeature([sales], onReports), RedisCacheModule.forFeature([sales], onReports)];
      const app = await compile(clock, [start(), ...twice]);
      expect(app.get(CacheRegistry).list('reports')).toHaveLength(1);
      await app.init();
      await app.close();
    }
  });

  it('says how a module comes by the channel of a connection when it asks without', async () => {
    const features = [RedisCacheModule.forFeature([prices, sales])];
    await expect(compile(new VirtualClock(), [root({ url: 'memory://' }), ...features], [Reports])).rejects.toThrow(
      /CacheChannel of the connection "reports", which RedisCacheModule\.forFeature\(\[\], \{ connection: "reports" \}\) provides/,
    );
  });

  it('does not start without one of its connections, and names it', async () => {
    const clock = new VirtualClock();
    const server = new EmbeddedCacheServer({ clock });
    const starting = compile(clock, [
      root({
        url: 'memory://',
        server,
        prefix: 'shop',
        connections: { reports: { url: 'redis://user:secret@127.0.0.1:1', connectTimeoutMs: 1_000 } },
      }),
      RedisCacheModule.forFeature([sales], onReports),
    ]);
    await expect(starting).rejects.toThrow(CacheStoreUnavailableError);
    await expect(starting).rejects.toThrow(/^(?!.*secret).*connection "reports"/);
  });
});
