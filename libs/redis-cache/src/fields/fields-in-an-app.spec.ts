import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { ConfigurationError, ResilienceModule } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { EmbeddedCacheServer } from '../embedded/embedded-cache.server.js';
import { MemoryFieldsStore } from '../embedded/fields/memory.fields-store.js';
import { MemoryInvalidationBus } from '../embedded/memory.bus.js';
import { MemoryCacheStore } from '../embedded/memory.store.js';
import {
  Cached,
  CacheRegistry,
  defineCache,
  defineFieldsCache,
  EntryVersion,
  InjectCache,
  type Loaded,
  RedisCacheModule,
  type RedisCacheModuleOptions,
  UnknownCacheError,
  VersionedFieldsCache,
} from '../index.js';

const days = defineFieldsCache<number>({ name: 'days', synced: false });
const prices = defineCache<number>({ name: 'prices', synced: false });
const version = new EntryVersion(1n, 5n);

@Injectable()
class Days {
  constructor(@InjectCache('days') readonly cache: VersionedFieldsCache<number>) {}

  @Cached({ cache: 'days', key: (day: string) => day })
  async hours(_day: string): Promise<Loaded<number>> {
    return { value: 1, version };
  }
}

const app = async (options: RedisCacheModuleOptions): Promise<TestingModule> => {
  const module = await Test.createTestingModule({
    imports: [
      ResilienceModule.forRoot({ clock: new VirtualClock() }),
      RedisCacheModule.forRoot(options),
      RedisCacheModule.forFeature([days, prices]),
    ],
    providers: [Days],
  })
    .setLogger({ log: () => {}, warn: () => {}, error: () => {} })
    .compile();
  return await module.init();
};

describe('a cache of fields in an app', () => {
  it('is injected like one of values, and connected, counted and closed with them', async () => {
    const module = await app({ url: 'memory://' });
    const { cache } = module.get(Days);
    const registry = module.get(CacheRegistry);
    expect(cache).toBeInstanceOf(VersionedFieldsCache);
    expect([registry.fields('days'), registry.get('days'), registry.list().length]).toEqual([cache, cache.whole, 2]);
    expect([registry.hasFields('days'), registry.hasFields('prices')]).toEqual([true, false]);
    expect(() => registry.fields('prices')).toThrow(UnknownCacheError);
    expect(cache.whole.trusted).toBe(true);
    await cache.setFields('d', { 7: { value: 3, version } });
    expect((await cache.getFields('d', ['7']))?.fields['7']).toEqual({ value: 3, version });
    await module.close();
    expect(cache.whole.trusted).toBe(false);
  });

  it('needs a store of hashes beside a store that the app brings', async () => {
    const server = new EmbeddedCacheServer({ clock: new VirtualClock() });
    const own = { url: 'memory://', store: new MemoryCacheStore(server), bus: new MemoryInvalidationBus(server) };
    await expect(app(own)).rejects.toThrow('"days" has fields');
    const module = await app({ ...own, fieldsStore: new MemoryFieldsStore(server) });
    await module.get(Days).cache.setFields('d', { 7: { value: 3, version } });
    expect(server.stats().entries).toBe(1);
    await module.close();
    server.close();
  });

  it('stands in front of no method: what a method answers is one value', async () => {
    const module = await app({ url: 'memory://' });
    await expect(module.get(Days).hours('d')).rejects.toThrow(ConfigurationError);
    await module.close();
  });
});
