import type { InvalidationMessage } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryCacheStore, MemoryFieldsStore } from '@smartpulse/redis-cache/embedded';
import { cacheStoreContract, fieldsStoreContract, UnreliableCacheStore } from '@smartpulse/redis-cache/testing';
import { runContract, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, it } from 'vitest';

const subject = async <S>(make: (server: EmbeddedCacheServer, clock: VirtualClock) => S) => {
  const clock = new VirtualClock();
  const server = new EmbeddedCacheServer({ clock });
  const messages: InvalidationMessage[] = [];
  await server.subscribe('test:contract:!inv', {
    onMessage: (message) => messages.push(message),
    onTrusted: () => {},
    onUntrusted: () => {},
  });
  return {
    store: make(server, clock),
    published: async () => {
      await clock.settle();
      return messages;
    },
    elapse: (ms: number) => clock.advance(ms),
    close: async () => server.close(),
  };
};

runContract(
  { describe, it },
  'CacheStore: in memory',
  cacheStoreContract(() => subject((server) => new MemoryCacheStore(server))),
);
runContract(
  { describe, it },
  'CacheStore: unreliable twin in fine weather',
  cacheStoreContract(() => subject((server, clock) => new UnreliableCacheStore(new MemoryCacheStore(server), clock))),
);
runContract(
  { describe, it },
  'FieldsStore: in memory',
  fieldsStoreContract(() => subject((server) => new MemoryFieldsStore(server))),
);
