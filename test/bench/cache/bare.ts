import { EntryVersion } from '@smartpulse/redis-cache';
import { RedisLink } from '@smartpulse/redis-cache/redis';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { Redis, type RedisOptions } from 'ioredis';
import { type Open, TTL_MS, type Value, valueOf } from './subject.ts';

/** A client that tells with which scripts it was duplicated. */
class Listening extends Redis {
  scripts: RedisOptions['scripts'];

  override duplicate(override: Partial<RedisOptions> = {}): Redis {
    this.scripts = override.scripts ?? this.scripts;
    return super.duplicate(override);
  }
}

/** The very script of ours, loaded into the server. */
async function scriptOfSet(url: string, prefix: string): Promise<string> {
  const client = new Listening(url, { lazyConnect: true });
  const link = new RedisLink({
    client,
    prefix,
    connectTimeoutMs: 5_000,
    heartbeatMs: 5_000,
    clock: new SystemClock(),
    random: new SystemRandom(),
  });
  await link.connect();
  await link.close();
  client.disconnect();
  const lua = client.scripts?.['smartpulseSet']?.lua;
  if (lua === undefined) {
    throw new Error('Ours has no script by this name.');
  }
  return lua;
}

/** The floor: a GET and `JSON.parse`; for writes the EVALSHA of our script with what it needs. */
export const bareRedis: Open = async ({ url, prefix }) => {
  const redis = new Redis(url, { enableAutoPipelining: true });
  const subscriber = new Redis(url);
  const channel = `${prefix}:bare:!inv`;
  await subscriber.subscribe(channel, `${prefix}:lag`);
  const sha = String(await redis.script('LOAD', await scriptOfSet(url, prefix)));
  let version = BigInt(Date.now()) * 1_000n;
  let sequence = 0;
  return {
    put: async (key) => {
      await redis.set(`${prefix}:${key}`, JSON.stringify(valueOf(key)));
    },
    read: async (key) => {
      const text = await redis.get(`${prefix}:${key}`);
      return text === null ? undefined : (JSON.parse(text) as Value);
    },
    write: async (key, value) => {
      const stamp = new EntryVersion(1n, version++);
      const text = `1V${stamp.toString()}${String(Date.now() + TTL_MS).padStart(13, '0')}${JSON.stringify(value)}`;
      const head = `1 bare boot ${++sequence}`;
      const reply: unknown = await redis.evalsha(
        sha,
        1,
        `{${prefix}:${key}}:v.1`,
        channel,
        head,
        stamp.toString(),
        '0',
        '',
        TTL_MS,
        text,
      );
      return Array.isArray(reply) ? String(reply[0]) : 'none';
    },
    lag: (key) =>
      new Promise((resolve, reject) => {
        const began = performance.now();
        subscriber.once('message', () => resolve(performance.now() - began));
        redis.publish(`${prefix}:lag`, key).catch(reject);
      }),
    close: async () => {
      redis.disconnect();
      subscriber.disconnect();
    },
  };
};

/** The ceiling: nothing but a Map. */
export const bareMap: Open = async () => {
  const values = new Map<string, Value>();
  return {
    put: async (key) => {
      // As readers of a cache get it: decoded from text.
      values.set(key, JSON.parse(JSON.stringify(valueOf(key))) as Value);
    },
    read: async (key) => values.get(key),
    peek: (key) => values.get(key),
    close: async () => values.clear(),
  };
};
