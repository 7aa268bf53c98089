import { defineCache, EntryVersion, VersionedCache } from '@smartpulse/redis-cache';
import { RedisCacheStore, RedisInvalidationBus, RedisLink } from '@smartpulse/redis-cache/redis';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import type { Settings } from './job.ts';

const HEARTBEAT_MS = 5_000;

/** A synced namespace whose loader reads its stamp in an earlier statement than its data, so that changes invalidate. */
export async function openMix({ url, prefix }: Settings, version: () => bigint) {
  const clock = new SystemClock();
  const random = new SystemRandom();
  const link = new RedisLink({ url, prefix, connectTimeoutMs: 5_000, heartbeatMs: HEARTBEAT_MS, clock, random });
  const bus = new RedisInvalidationBus(link, clock, HEARTBEAT_MS);
  await link.connect();
  const stamp = (): EntryVersion => new EntryVersion(1n, version());
  const cache = new VersionedCache<number>({
    namespace: defineCache<number>({
      name: 'rows',
      synced: true,
      maxEntries: 100_000,
      l1TtlMs: 3_600_000,
      storeTimeoutMs: 5_000,
    }),
    prefix,
    nodeId: random.id(),
    store: new RedisCacheStore(link),
    clock,
    random,
  });
  await cache.connect(bus);
  return {
    read: async (key: string, load: () => Promise<number>) => {
      const { value = -1, stale } = await cache.getOrLoad(key, async () => {
        const at = stamp();
        return { value: await load(), version: at };
      });
      return { row: value, stale };
    },
    committed: (key: string) => cache.invalidate(key, stamp()),
    close: async () => {
      await cache.close();
      await link.close();
    },
  };
}
