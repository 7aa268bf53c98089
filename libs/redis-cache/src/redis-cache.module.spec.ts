import { Injectable, type LoggerService, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { ConfigurationError, ResilienceModule } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { EmbeddedCacheServer } from './embedded/embedded-cache.server.js';
import {
  CacheChannel,
  CacheRegistry,
  CacheStoreUnavailableError,
  defineCache,
  defineTopic,
  EntryVersion,
  InjectCache,
  RedisCacheModule,
  type RedisCacheModuleOptions,
  RedisCacheProbe,
  UnknownCacheError,
  type VersionedCache,
} from './index.js';

const quiet: LoggerService = { log: () => {}, warn: () => {}, error: () => {} };
const prices = defineCache<string>({ name: 'prices', synced: false });
const at = (version: bigint): EntryVersion => new EntryVersion(1n, version);

@Injectable()
class PriceReader {
  constructor(@InjectCache('prices') readonly cache: VersionedCache<string>) {}
}

@Module({ imports: [RedisCacheModule.forFeature([prices])], providers: [PriceReader] })
class PriceModule {}

const app = async (clock: VirtualClock, options: RedisCacheModuleOptions): Promise<TestingModule> => {
  const module = await Test.createTestingModule({
    imports: [
      ResilienceModule.forRoot({ clock }),
      RedisCacheModule.forRoot(options),
      PriceModule,
      RedisCacheModule.forFeature([prices]),
    ],
  })
    .setLogger(quiet)
    .compile();
  return await module.init();
};

describe('RedisCacheModule', () => {
  it('injects a cache that is trusted when the app has started, and closes it with the clients', async () => {
    const clock = new VirtualClock();
    const module = await app(clock, { url: 'memory://' });
    const { cache } = module.get(PriceReader);
    expect(cache.trusted).toBe(true);
    expect(await cache.set('a', '7.25', at(1n))).toBe('applied');
    expect(await cache.get('a')).toMatchObject({ value: '7.25', level: 'l1' });
    expect(module.get(CacheRegistry).get('prices')).toBe(cache);
    expect(module.get(CacheRegistry).list()).toHaveLength(1);
    expect(() => module.get(CacheRegistry).get('other')).toThrow(UnknownCacheError);
    await module.close();
    expect(cache.trusted).toBe(false);
    await expect(cache.get('b')).rejects.toThrow('closed');
    expect(clock.pendingTimers).toBe(0);
  });

  it('lets two apps of one process share a server, and nothing else', async () => {
    const clock = new VirtualClock();
    const server = new EmbeddedCacheServer({ clock });
    const one = await app(clock, { url: 'memory://', prefix: 'shop', server });
    const two = await app(clock, { url: 'memory://', prefix: 'shop', server });
    const apart = await app(clock, { url: 'memory://', prefix: 'other', server });
    const [a, b, c] = [one, two, apart].map((module) => module.get(PriceReader).cache);
    expect(a).not.toBe(b);
    await a?.set('k', 'old', at(1n));
    await b?.get('k');
    await a?.set('k', 'new', at(2n));
    await clock.settle();
    expect(await b?.get('k')).toMatchObject({ value: 'new', level: 'l2' });
    expect(await c?.get('k')).toBeUndefined();
    await one.close();
    expect(await b?.get('k')).toMatchObject({ value: 'new', level: 'l1' });
    await Promise.all([two.close(), apart.close()]);
    expect(server.stats().subscribers).toBe(0);
    server.close();
  });

  it('reports degraded while the backplane is not to be trusted', async () => {
    const clock = new VirtualClock();
    const server = new EmbeddedCacheServer({ clock });
    const module = await app(clock, { url: 'memory://', server });
    const probe = module.get(RedisCacheProbe);
    expect(probe.started()).toBe(true);
    expect(probe.check()).toEqual({
      status: 'up',
      details: { caches: 1, untrusted: 0, storeFailing: false, deafTopics: 0 },
    });
    await module.get(CacheChannel).subscribe(defineTopic({ name: 'signals' }), () => {});
    server.close();
    expect(probe.check()).toMatchObject({ status: 'degraded', details: { deafTopics: 1 } });
    await module.close();
  });

  it('injects a channel by its class; when the app stops it takes nothing new and waits for the handler that runs', async () => {
    const clock = new VirtualClock();
    const server = new EmbeddedCacheServer({ clock });
    const [one, two] = [
      await app(clock, { url: 'memory://', prefix: 'shop', server }),
      await app(clock, { url: 'memory://', prefix: 'bank', server }),
    ];
    const topic = defineTopic<number>({ owner: 'shop', name: 'signals' });
    const heard: string[] = [];
    const publisher = two.get(CacheChannel);
    await one.get(CacheChannel).subscribe(topic, async ({ payload }) => {
      heard.push(`begun ${payload}`);
      await clock.sleep(100);
      heard.push(`ended ${payload}`);
    });
    await publisher.publish(topic, 'k', 1);
    await clock.settle();
    const closing = one.close();
    await clock.settle();
    await publisher.publish(topic, 'k', 2);
    await clock.advance(100);
    await closing;
    expect(heard).toEqual(['begun 1', 'ended 1']);
    await two.close();
    server.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('takes options that a factory makes, and checks them at start', async () => {
    const compile = (url: string): Promise<TestingModule> =>
      Test.createTestingModule({
        imports: [
          ResilienceModule.forRoot(),
          RedisCacheModule.forRootAsync({ useFactory: async () => ({ url }) }),
          PriceModule,
        ],
      })
        .setLogger(quiet)
        .compile();
    const module = await compile('memory://');
    expect(module.get(CacheRegistry).has('prices')).toBe(true);
    await module.close();
    await expect(compile('http://x')).rejects.toThrow(ConfigurationError);
  });

  it('refuses what it cannot do, at start, and says what to do instead', async () => {
    expect(() => RedisCacheModule.forRoot({ url: 'redis+cluster://user:secret@host/1', prefix: 'shop' })).toThrow(
      /^(?!.*secret).*option "url": a cluster has the database 0 only/,
    );
    expect(() => RedisCacheModule.forRoot({ url: 'redis+sentinel://user:secret@host', prefix: 'shop' })).toThrow(
      /^(?!.*secret).*option "url": the name of the master/,
    );
    expect(() => RedisCacheModule.forRoot({ prefix: 'shop' })).toThrow(/option "url".*or the option "client"/);
    expect(() => RedisCacheModule.forRoot({ client: {}, prefix: 'shop' } as RedisCacheModuleOptions)).toThrow(
      /option "client": expected a Redis or a Cluster/,
    );
    expect(() => RedisCacheModule.forRoot({ url: 'redis://host' })).toThrow(/option "prefix"/);
    expect(() => RedisCacheModule.forRoot({ url: 'redis://host', prefix: 'shop', heartbeatMs: 0 })).toThrow(
      /option "heartbeatMs"/,
    );
    expect(() => RedisCacheModule.forRoot({ url: 'localhost' })).toThrow(/option "url"/);
    expect(() => RedisCacheModule.forRoot({ url: 'memory://', prefix: 'a b' })).toThrow(/option "prefix"/);
    expect(() => RedisCacheModule.forRoot({ url: 'memory://', prefix: 'a:b' })).toThrow(/option "prefix"/);
    expect(() => RedisCacheModule.forRoot({ url: 'memory://', prefx: 'a' } as RedisCacheModuleOptions)).toThrow(
      ConfigurationError,
    );
  });

  it.each([
    'redis://user:secret@127.0.0.1:1',
    'redis+sentinel://user:secret@127.0.0.1:1,127.0.0.1:2/main?sentinel_password=secret',
    'redis+cluster://user:secret@127.0.0.1:1,127.0.0.1:2',
  ])('does not start without its Redis, and names no credential when it says so: %s', async (url) => {
    const starting = Test.createTestingModule({
      imports: [
        ResilienceModule.forRoot(),
        RedisCacheModule.forRoot({ url, prefix: 'shop', connectTimeoutMs: 1_000 }),
        PriceModule,
      ],
    })
      .setLogger(quiet)
      .compile();
    await expect(starting).rejects.toThrow(CacheStoreUnavailableError);
    await expect(starting).rejects.toThrow(/^(?!.*secret)/);
    await expect(starting).rejects.toMatchObject({
      cause: { message: expect.stringMatching(/ECONNREFUSED|sentinels are unreachable/) },
    });
  });

  it('refuses a second forRoot, a feature without forRoot, and two namespaces of one name', async () => {
    const compile = (imports: NonNullable<Parameters<typeof Test.createTestingModule>[0]['imports']>) =>
      Test.createTestingModule({ imports }).setLogger(quiet).compile();
    const root = (): ReturnType<typeof RedisCacheModule.forRoot> => RedisCacheModule.forRoot({ url: 'memory://' });
    await expect(compile([ResilienceModule.forRoot(), root(), root()])).rejects.toThrow(ConfigurationError);
    await expect(compile([ResilienceModule.forRoot(), PriceModule])).rejects.toThrow(ConfigurationError);
    const twin = defineCache<number>({ name: 'prices', synced: true });
    await expect(
      compile([ResilienceModule.forRoot(), root(), PriceModule, RedisCacheModule.forFeature([twin])]),
    ).rejects.toThrow(/two different caches/);
  });
});
