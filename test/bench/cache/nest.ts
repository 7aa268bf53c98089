import 'reflect-metadata';
import KeyvRedis from '@keyv/redis';
import { CACHE_MANAGER, CacheModule } from '@nestjs/cache-manager';
import { NestFactory } from '@nestjs/core';
import type { Cache } from 'cache-manager';
import { CacheableMemory } from 'cacheable';
import { Keyv } from 'keyv';
import { type Open, TTL_MS, type Value, valueOf } from './subject.ts';

/** As Nest's documentation has it: a store in memory in front of one in Redis. It has no backplane. */
export const nest: Open = async ({ url, prefix }, firstLevel) => {
  const far = new Keyv({ store: new KeyvRedis(url), namespace: prefix });
  const near = new Keyv({ store: new CacheableMemory({ lruSize: 100_000 }), namespace: prefix });
  const app = await NestFactory.createApplicationContext(
    CacheModule.register({ ttl: TTL_MS, stores: firstLevel === 'large' ? [near, far] : [far] }),
    { logger: false },
  );
  const cache = app.get<Cache>(CACHE_MANAGER);
  return {
    put: async (key) => {
      await cache.set(key, valueOf(key));
    },
    read: (key) => cache.get<Value>(key),
    write: (key, value) => cache.set(key, value),
    load: (key, loader) => cache.wrap<Value>(key, loader),
    close: async () => {
      await far.disconnect();
      await app.close();
    },
  };
};
