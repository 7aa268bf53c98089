import { EntryVersion, type StoreOrigin } from '@smartpulse/redis-cache';
import { Redis } from 'ioredis';
// The very scripts and texts of ours, sent by a bare client.
import { entryText } from '../../../libs/redis-cache/dist/redis/entry-text.js';
import { SCRIPTS } from '../../../libs/redis-cache/dist/redis/scripts.js';
import { type Open, TTL_MS, type Value, valueOf } from './subject.ts';

/** The floor: a GET and `JSON.parse`; for writes the EVALSHA of our script with what it needs. */
export const bareRedis: Open = async ({ url, prefix }) => {
  const redis = new Redis(url, { enableAutoPipelining: true });
  const subscriber = new Redis(url);
  const origin: StoreOrigin = { channel: `${prefix}:bare:!inv`, source: 'bare', synced: false };
  await subscriber.subscribe(origin.channel, `${prefix}:lag`);
  const sha = String(await redis.script('LOAD', SCRIPTS.smartpulseSet));
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
    write: (key, value) => {
      const stamp = new EntryVersion(1n, version++);
      const text = entryText('V', stamp, Date.now() + TTL_MS, JSON.stringify(value));
      const head = `1 bare boot ${++sequence}`;
      return redis.evalsha(
        sha,
        1,
        `{${prefix}:${key}}:v.1`,
        origin.channel,
        head,
        stamp.toString(),
        '0',
        '',
        text,
        TTL_MS,
      );
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
