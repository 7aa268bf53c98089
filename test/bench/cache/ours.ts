import { defineCache, EntryVersion, VersionedCache } from '@smartpulse/redis-cache';
import { RedisCacheStore, RedisInvalidationBus, RedisLink } from '@smartpulse/redis-cache/redis';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import type { Settings } from './job.ts';
import { ENTRIES, type FirstLevelSize, type Open, type Subject, type Value, valueOf } from './subject.ts';

const clock = new SystemClock();
const random = new SystemRandom();
const HEARTBEAT_MS = 5_000;

/** Ours, and the cache itself, for what only it can be asked. */
export interface OurSubject extends Subject {
  readonly cache: VersionedCache<Value>;
}

export function ours({ freeze = true } = {}): Open {
  return (settings, firstLevel) => openOurs(settings, firstLevel, freeze);
}

export async function openOurs(
  { url, prefix }: Settings,
  firstLevel: FirstLevelSize,
  freeze: boolean,
): Promise<OurSubject> {
  const link = new RedisLink({ url, prefix, connectTimeoutMs: 5_000, heartbeatMs: HEARTBEAT_MS, clock, random });
  const bus = new RedisInvalidationBus(link, clock, HEARTBEAT_MS);
  await link.connect();
  const cache = new VersionedCache<Value>({
    namespace: defineCache<Value>({
      name: firstLevel,
      // What is written here is written by users.
      synced: false,
      l1TtlMs: 3_600_000,
      l2TtlMs: 3_600_000,
      maxEntries: ENTRIES[firstLevel],
      storeTimeoutMs: 5_000,
    }),
    prefix,
    nodeId: random.id(),
    store: new RedisCacheStore(link),
    clock,
    random,
    freeze,
  });
  await cache.connect(bus);
  let version = BigInt(Date.now()) * 1_000n;
  const next = (): EntryVersion => new EntryVersion(1n, version++);
  return {
    cache,
    put: async (key) => {
      await cache.set(key, valueOf(key), next());
      await cache.get(key);
    },
    read: async (key) => (await cache.get(key))?.value,
    peek: (key) => cache.peek(key),
    write: (key, value) => cache.set(key, value, next()),
    load: async (key, loader) =>
      (await cache.getOrLoad(key, async () => ({ version: next(), value: await loader() }))).value,
    lag: async (key, other) => {
      const began = performance.now();
      const told = cache.invalidate(key, next());
      while (other.peek?.(key) !== undefined) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      const lagMs = performance.now() - began;
      await told;
      return lagMs;
    },
    close: async () => {
      await cache.close();
      await link.close();
    },
  };
}
