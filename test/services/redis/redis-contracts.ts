import { setTimeout as sleep } from 'node:timers/promises';
import { RedisFieldsStore } from '@smartpulse/redis-cache/redis';
import { cacheStoreContract, fieldsStoreContract, invalidationBusContract } from '@smartpulse/redis-cache/testing';
import { runContract } from '@smartpulse/resilience/testing';
import { describe, it } from 'vitest';
import { redisSubject, type RedisSite } from '../../support/redis/redis-subject.js';

const SHORT_MS = 1_000;

/** The contracts of store and backplane, on whatever kind of Redis there is. */
export function runRedisContracts(kind: string, site: () => RedisSite): void {
  runContract(
    { describe, it },
    `CacheStore: ${kind}`,
    cacheStoreContract(() => redisSubject(site())),
  );

  runContract(
    { describe, it },
    `FieldsStore: ${kind}`,
    fieldsStoreContract(async () => {
      const subject = await redisSubject(site());
      return {
        ...subject,
        store: new RedisFieldsStore(subject.link),
        // The life of a field ends by the server's own clock, which nobody moves on.
        elapse: (ms) => (ms < SHORT_MS ? sleep(ms) : subject.elapse(ms)),
      };
    }),
  );

  runContract(
    { describe, it },
    `InvalidationBus: ${kind}`,
    invalidationBusContract(
      async () => {
        const subject = await redisSubject(site());
        const { bus, store, admins } = subject;
        return {
          bus,
          publish: async (channel, { key, version: stamp }) => {
            const origin = { channel, source: 'a', synced: false };
            if (stamp === null) {
              await store.evict(key, origin);
            } else {
              await store.set({ ...origin, key, version: stamp, payload: '1', ttlMs: 60_000 });
            }
          },
          drained: async () => {
            await subject.published();
          },
          loseAndRecover: async () => {
            let heard = (): void => {};
            const back = new Promise<void>((resolve) => {
              heard = resolve;
            });
            let isLost = false;
            // Acknowledged before the connection goes: one that goes first is trusted once, and not again.
            await bus.subscribe('test:other:!inv', {
              onMessage: () => {},
              onUntrusted: () => {
                isLost = true;
              },
              onTrusted: () => (isLost ? heard() : undefined),
            });
            await Promise.all(admins.map((admin) => admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')));
            await back;
          },
          close: () => subject.close(),
        };
      },
      { losesMessages: true },
    ),
  );
}
