import KeyvRedis from '@keyv/redis';
import { RedisMessageProvider } from '@qified/redis';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis';
import { Cacheable, CacheableMemory, CacheableSync } from 'cacheable';
import { Redis } from 'ioredis';
import { Keyv } from 'keyv';
import { Qified } from 'qified';
import type { Settings } from './job.ts';
import { TTL_MS } from './subject.ts';

/** Caches of rows that are deleted when they change, as their documentation has it. */
export const openMix = {
  bento: async ({ url, prefix }: Settings) => {
    const connection = new Redis(url);
    const cache = new BentoCache({
      default: 'two',
      prefix,
      ttl: TTL_MS,
      stores: {
        two: bentostore()
          .useL1Layer(memoryDriver({ maxItems: 100_000 }))
          .useL2Layer(redisDriver({ connection }))
          .useBus(redisBusDriver({ connection: { host: '127.0.0.1', port: Number(new URL(url).port) } })),
      },
    });
    // Its bus subscribes in the background.
    await new Promise((resolve) => setTimeout(resolve, 500));
    return {
      read: async (key: string, load: () => Promise<number>) => ({
        row: await cache.getOrSet<number>({ key, factory: load }),
        stale: false,
      }),
      committed: (key: string) => cache.delete({ key }),
      close: async () => {
        await cache.disconnectAll();
        connection.disconnect();
      },
      connection,
    };
  },
  cacheable: async ({ url, prefix }: Settings) => {
    const provider = new RedisMessageProvider({ uri: url });
    const cache = new Cacheable({
      namespace: prefix,
      ttl: TTL_MS,
      primary: new Keyv({ store: new CacheableMemory({ lruSize: 100_000 }) }),
      secondary: new Keyv({ store: new KeyvRedis(url) }),
      sync: new CacheableSync({ qified: new Qified({ messageProviders: [provider] }), namespace: prefix }),
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    return {
      read: async (key: string, load: () => Promise<number>) => ({
        row: (await cache.getOrSet<number>(key, load)) ?? -1,
        stale: false,
      }),
      committed: (key: string) => cache.delete(key),
      close: async () => {
        await cache.disconnect();
        await provider.disconnect();
      },
    };
  },
};
