import type { InvalidationBus } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryCacheStore, MemoryInvalidationBus } from '@smartpulse/redis-cache/embedded';
import {
  invalidationBusContract,
  type InvalidationBusSubject,
  LossyInvalidationBus,
} from '@smartpulse/redis-cache/testing';
import { runContract, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, it } from 'vitest';

/** Publishes through the store, as it happens in life: each message by the request that causes it. */
const subject = (
  decorate: (bus: InvalidationBus) => InvalidationBus,
  lose: (bus: InvalidationBus, store: MemoryCacheStore) => Promise<void>,
): InvalidationBusSubject => {
  const clock = new VirtualClock();
  const server = new EmbeddedCacheServer({ clock, maxPendingMessages: 60 });
  const store = new MemoryCacheStore(server);
  const bus = decorate(new MemoryInvalidationBus(server));
  return {
    bus,
    publish: async (channel, { action, key, version }) => {
      const origin = { channel, source: 'a', synced: false };
      if (action === 'evict' || version === null) {
        await store.evict(key, origin);
      } else {
        await store.set({ ...origin, key, version, payload: '1', ttlMs: 60_000 });
      }
    },
    drained: () => clock.settle(),
    loseAndRecover: () => lose(bus, store),
    close: async () => server.close(),
  };
};

const overflow = async (_bus: InvalidationBus, store: MemoryCacheStore): Promise<void> => {
  const origin = { channel: 'test:contract:!inv', source: 'a', synced: true };
  // Without a pause for delivery, more than a subscriber may have waiting.
  await Promise.all(Array.from({ length: 61 }, () => store.evict('k', origin)));
};

runContract(
  { describe, it },
  'InvalidationBus: in memory',
  invalidationBusContract(() => subject((bus) => bus, overflow), { losesMessages: true }),
);
runContract(
  { describe, it },
  'InvalidationBus: lossy twin that announces',
  invalidationBusContract(
    () =>
      subject(
        (bus) => new LossyInvalidationBus(bus),
        async (bus) => {
          if (bus instanceof LossyInvalidationBus) {
            bus.cut();
            bus.mend();
          }
        },
      ),
    { losesMessages: true },
  ),
);
