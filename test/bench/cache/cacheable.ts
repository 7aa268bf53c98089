import KeyvRedis from '@keyv/redis';
import { RedisMessageProvider } from '@qified/redis';
import { Cacheable, CacheableMemory, CacheableSync } from 'cacheable';
import { Keyv } from 'keyv';
import { Qified } from 'qified';
import { ENTRIES, type Open, TTL_MS, type Value, valueOf } from './subject.ts';

export const cacheable: Open = async ({ url, prefix }, firstLevel) => {
  const store = new KeyvRedis(url);
  const provider = new RedisMessageProvider({ uri: url });
  const primary = new Keyv({ store: new CacheableMemory({ lruSize: ENTRIES[firstLevel] }) });
  const cache = new Cacheable({
    namespace: prefix,
    ttl: TTL_MS,
    primary,
    secondary: new Keyv({ store }),
    sync: new CacheableSync({ qified: new Qified({ messageProviders: [provider] }), namespace: prefix }),
  });
  return {
    put: async (key) => {
      await cache.set(key, valueOf(key));
    },
    read: (key) => cache.get<Value>(key),
    write: (key, value) => cache.set(key, value),
    load: (key, loader) => cache.getOrSet<Value>(key, loader),
    close: async () => {
      await cache.disconnect();
      await provider.disconnect();
    },
  };
};
