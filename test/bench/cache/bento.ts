import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis';
import { Redis } from 'ioredis';
import { ENTRIES, type Open, TTL_MS, type Value, valueOf } from './subject.ts';

/** @param serializeL1 its default is `true`: every hit parses. */
export function bento(serializeL1: boolean): Open {
  return async ({ url, prefix }, firstLevel) => {
    const connection = new Redis(url);
    const messages = { host: '127.0.0.1', port: Number(new URL(url).port) };
    const cache = new BentoCache({
      default: 'two',
      prefix,
      ttl: TTL_MS,
      stores: {
        two: bentostore()
          .useL1Layer(memoryDriver({ maxItems: ENTRIES[firstLevel], serialize: serializeL1 }))
          .useL2Layer(redisDriver({ connection }))
          .useBus(redisBusDriver({ connection: messages })),
      },
    });
    return {
      put: async (key) => {
        await cache.set({ key, value: valueOf(key) });
      },
      read: (key) => cache.get<Value>({ key }),
      write: (key, value) => cache.set({ key, value }),
      load: (key, loader) => cache.getOrSet<Value>({ key, factory: loader }),
      close: async () => {
        await cache.disconnectAll();
        connection.disconnect();
      },
    };
  };
}
