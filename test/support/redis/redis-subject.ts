import { setTimeout as sleep } from 'node:timers/promises';
import type { InvalidationMessage, RedisClientTemplate } from '@smartpulse/redis-cache';
import { RedisCacheStore, RedisInvalidationBus, RedisLink } from '@smartpulse/redis-cache/redis';
import { SystemRandom } from '@smartpulse/resilience';
import { Redis } from 'ioredis';
import { ShiftedClock } from './shifted.clock.js';

export const HEARTBEAT_MS = 300;
const CHANNEL = 'test:contract:!inv';
const MARKS = 'test:marks:!inv';
/** Enough for every master of a small cluster to have one at least. */
const MARK_KEYS = 32;
const MARK_MS = 1_000;

/** Where a subject leads: what clients are given, and clients past it, one for each server that holds keys. */
export interface RedisSite {
  readonly url: string;
  /** In place of the URL: what connections are duplicates of. */
  readonly client?: RedisClientTemplate | undefined;
  admins(): Promise<readonly Redis[]>;
}

/** One replica's store and backplane on a server, and a client past them. */
export interface RedisSubject {
  readonly store: RedisCacheStore;
  readonly bus: RedisInvalidationBus;
  readonly link: RedisLink;
  /** The first of {@link admins}. */
  readonly redis: Redis;
  readonly admins: readonly Redis[];
  readonly clock: ShiftedClock;
  /** Everything that a subscriber of the contract's channel has heard, once it has all arrived. */
  published(): Promise<readonly InvalidationMessage[]>;
  /** Lets `ms` milliseconds pass for the lives in the server. */
  elapse(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** A site that is one server. */
export function siteOf({ url }: { readonly url: string }): RedisSite {
  return { url, admins: async () => [new Redis(url)] };
}

/** Everything but the generation: its end would be an event of its own. */
async function empty(admin: Redis): Promise<void> {
  const keys = (await admin.keys('*')).filter((key) => !key.startsWith('{test:!gen}'));
  for (const key of keys) {
    await admin.del(key);
  }
}

/** Empties the servers and connects. */
export async function redisSubject(site: RedisSite): Promise<RedisSubject> {
  const admins = await site.admins();
  const [redis] = admins;
  if (redis === undefined) {
    throw new Error('There is no server.');
  }
  await Promise.all(admins.map(empty));
  const clock = new ShiftedClock();
  const link = new RedisLink({
    ...(site.client === undefined ? { url: site.url } : { client: site.client }),
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
  let onMark = (_key: string): unknown => undefined;
  await bus.subscribe(MARKS, { ...quiet, onMessage: ({ key }) => void onMark(key) });
  const marks = Array.from({ length: admins.length === 1 ? 1 : MARK_KEYS }, (_, at) => `{mark${at}}:v`);
  const arrived = async (): Promise<void> => {
    // Each server brings all channels in the order of publication: what was published before has arrived when a mark of each has.
    const left = new Set(marks);
    onMark = (key) => left.delete(key);
    while (left.size > 0) {
      // Again, when a connection was just lost.
      await Promise.allSettled(
        [...left].map((mark) => store.evict(mark, { channel: MARKS, source: 'm', synced: true })),
      );
      for (const deadline = performance.now() + MARK_MS; left.size > 0 && performance.now() < deadline;) {
        await sleep(1);
      }
    }
  };
  // From node to node messages take their time: what the subject before this one published is not heard by this one.
  await arrived();
  await bus.subscribe(CHANNEL, { ...quiet, onMessage: (message) => heard.push(message) });
  return {
    store,
    bus,
    link,
    redis,
    admins,
    clock,
    published: async () => {
      await arrived();
      return heard;
    },
    elapse: async (ms) => {
      clock.shift(ms);
      for (const admin of admins) {
        for (const key of await admin.keys('*')) {
          const leftMs = await admin.pttl(key);
          if (leftMs >= 0) {
            await (leftMs <= ms ? admin.del(key) : admin.pexpire(key, leftMs - ms));
          }
        }
      }
    },
    close: async () => {
      await link.close();
      for (const admin of admins) {
        admin.disconnect();
      }
    },
  };
}
