import type { InvalidationMessage } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryCacheStore } from '@smartpulse/redis-cache/embedded';
import { cacheStoreContract, UnreliableCacheStore } from '@smartpulse/redis-cache/testing';
import { runContract, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, it } from 'vitest';

const subject = async (
  decorate: (store: MemoryCacheStore, clock: VirtualClock) => MemoryCacheStore | UnreliableCacheStore,
) => {
  const clock = new VirtualClock();
  const server = new EmbeddedCacheServer({ clock });
  const messages: InvalidationMessage[] = [];
  await server.subscribe('test:contract:!inv', {
    onMessage: (message) => messages.push(message),
    onTrusted: () => {},
    onUntrusted: () => {},
  });
  return {
    store: decorate(new MemoryCacheStore(server), clock),
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
  cacheStoreContract(() => subject((store) => store)),
);
runContract(
  { describe, it },
  'CacheStore: unreliable twin in fine weather',
  cacheStoreContract(() => subject((store, clock) => new UnreliableCacheStore(store, clock))),
);
