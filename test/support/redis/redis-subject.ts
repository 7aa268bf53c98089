import type { InvalidationMessage } from '@smartpulse/redis-cache';
import { RedisCacheStore, RedisInvalidationBus, RedisLink } from '@smartpulse/redis-cache/redis';
import { SystemRandom } from '@smartpulse/resilience';
import { Redis } from 'ioredis';
import type { RedisServer } from './redis-server.js';
import { ShiftedClock } from './shifted.clock.js';

export const HEARTBEAT_MS = 100;
const CHANNEL = 'test:contract:!inv';
const MARKS = 'test:marks:!inv';

/** One replica's store and backplane on a server, and a client past them. */
export interface RedisSubject {
  readonly store: RedisCacheStore;
  readonly bus: RedisInvalidationBus;
  readonly link: RedisLink;
  readonly redis: Redis;
  readonly clock: ShiftedClock;
  /** Everything that a subscriber of the contract's channel has heard, once it has all arrived. */
  published(): Promise<readonly InvalidationMessage[]>;
  /** Lets `ms` milliseconds pass for the lives in the server. */
  elapse(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** Empties the server and connects. */
export async function redisSubject(server: RedisServer): Promise<RedisSubject> {
  const redis = new Redis(server.url);
  await redis.flushall();
  const clock = new ShiftedClock();
  const link = new RedisLink({
    url: server.url,
    prefix: 'test',
    connectTimeoutMs: 5_000,
    heartbeatMs: HEARTBEAT_MS,
    clock,
    random: new SystemRandom(),
  });
  await link.connect();
  const store = new RedisCacheStore(link);
  const bus = new RedisInvalidationBus(link, clock, HEARTBEAT_MS);
  const heard: InvalidationMessage[] = [];
  const quiet = { onTrusted: () => {}, onUntrusted: () => {} };
  await bus.subscribe(CHANNEL, { ...quiet, onMessage: (message) => heard.push(message) });
  let onMark = (): void => {};
  await bus.subscribe(MARKS, { ...quiet, onMessage: () => onMark() });
  return {
    store,
    bus,
    link,
    redis,
    clock,
    published: async () => {
      // One connection brings all channels in the order of publication: what was published before it has arrived when it has.
      await new Promise<void>((resolve) => {
        onMark = resolve;
        void store.evict('{mark}:v', { channel: MARKS, source: 'm', synced: true });
      });
      return heard;
    },
    elapse: async (ms) => {
      clock.shift(ms);
      for (const key of await redis.keys('*')) {
        const leftMs = await redis.pttl(key);
        if (leftMs >= 0) {
          await (leftMs <= ms ? redis.del(key) : redis.pexpire(key, leftMs - ms));
        }
      }
    },
    close: async () => {
      await link.close();
      redis.disconnect();
    },
  };
}
