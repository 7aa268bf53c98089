import { Logger } from '@nestjs/common';
import { EntryVersion, type InvalidationMessage } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryCacheStore, MemoryInvalidationBus } from '@smartpulse/redis-cache/embedded';
import { VirtualClock } from '@smartpulse/resilience/testing';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyRedisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';
import { redisSubject, siteOf } from '../../support/redis/redis-subject.js';
import { answer, KEYS, type Request, said, stands, valueRequest } from '../../support/redis/store-requests.js';
import { runRedisContracts } from './redis-contracts.js';

const programs = await everyRedisForTests();
const RUNS = 150;
const CHANNEL = 'test:contract:!inv';

/** Sets that follow one another begin at once; everything else by itself. */
function runsOfSets(requests: readonly Request[]): readonly (readonly Request[])[] {
  const runs: Request[][] = [];
  for (const one of requests) {
    const last = runs.at(-1);
    if (one.kind === 'set' && last?.[0]?.kind === 'set') {
      last.push(one);
    } else {
      runs.push([one]);
    }
  }
  return runs;
}

describe.each(programs)('on Redis $version', (program) => {
  let server: RedisServer;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    server = await RedisServer.start({ program });
  });
  afterAll(async () => {
    await server?.stop();
    Logger.overrideLogger(true);
  });

  runRedisContracts('Redis', () => siteOf(server));

  it('costs no trust by requests that are refused and have nothing to tell', async () => {
    const subject = await redisSubject(siteOf(server));
    const { bus, store } = subject;
    const heard: string[] = [];
    const origin = { channel: CHANNEL, source: 'a', synced: true };
    const stamp = new EntryVersion(1n, 5n);
    const write = { ...origin, key: KEYS[0], version: stamp, payload: '1', ttlMs: 60_000 };
    await bus.subscribe(CHANNEL, {
      onMessage: ({ action }) => heard.push(action),
      onTrusted: () => heard.push('trusted'),
      onUntrusted: () => heard.push('untrusted'),
    });
    await store.evict(KEYS[0], origin);
    expect((await store.set(write)).outcome).toBe('absent');
    expect((await store.set(write, 'gone')).outcome).toBe('leaseLost');
    await store.releaseLease(KEYS[0], 'gone', origin);
    await store.evict(KEYS[0], origin);
    await subject.published();
    expect(heard).toEqual(['trusted', 'evict', 'evict']);
    await subject.close();
  });

  it('refuses a set of a key that is no entry by itself: what is set in the same turn is stored, and no trust is lost', async () => {
    const subject = await redisSubject(siteOf(server));
    const { bus, link, redis, store } = subject;
    const heard: string[] = [];
    await bus.subscribe(CHANNEL, {
      onMessage: ({ action, key }) => heard.push(`${action} ${key}`),
      onTrusted: () => heard.push('trusted'),
      onUntrusted: () => heard.push('untrusted'),
    });
    await redis.rpush(link.stored('foreign'), 'a list');
    const write = { channel: CHANNEL, source: 'a', synced: false, payload: '1', ttlMs: 60_000 };
    const settled = await Promise.allSettled(
      ['a', 'foreign', 'b', 'a'].map((key, index) =>
        store.set({ ...write, key, version: new EntryVersion(1n, BigInt(9 - index)) }),
      ),
    );
    expect(
      settled.map((one) =>
        one.status === 'fulfilled' ? one.value.outcome : `${one.reason.name} ${one.reason.message}`,
      ),
    ).toEqual(['applied', expect.stringMatching(/^ReplyError WRONGTYPE/), 'applied', 'stale']);
    await subject.published();
    expect(heard).toEqual(['trusted', 'set a', 'set b']);
    await subject.close();
  });

  it('leaves a server that became a replica at the first set that it refuses, whatever is set in the same turn, and goes on at a master', async () => {
    const subject = await redisSubject(siteOf(server));
    const { link, redis, store } = subject;
    const write = { channel: CHANNEL, source: 'a', synced: false, payload: '1', ttlMs: 60_000 };
    const set = (key: string, version: bigint) => store.set({ ...write, key, version: new EntryVersion(1n, version) });
    await redis.replicaof('127.0.0.1', '1');
    const refused = await Promise.allSettled([set('a', 1n), set('b', 1n)]);
    expect(refused.map((one) => (one.status === 'rejected' ? String(one.reason) : one.status))).toEqual([
      expect.stringMatching(/^ReplyError: READONLY/),
      expect.stringMatching(/^ReplyError: READONLY/),
    ]);
    await expect.poll(() => link.whole).toBe(false);
    await redis.replicaof('NO', 'ONE');
    await expect.poll(() => link.whole, { timeout: 10_000 }).toBe(true);
    expect((await set('a', 2n)).outcome).toBe('applied');
    await subject.close();
  });

  it('tells how long its signs of life take to come back, until nobody asks', async () => {
    const subject = await redisSubject(siteOf(server));
    const lagsMs: number[] = [];
    const forget = subject.bus.observeLag((lagMs) => lagsMs.push(lagMs));
    await subject.bus.subscribe(CHANNEL, { onMessage: () => {}, onTrusted: () => {}, onUntrusted: () => {} });
    await expect.poll(() => lagsMs.length, { timeout: 15_000 }).toBeGreaterThan(1);
    forget();
    const told = lagsMs.length;
    await subject.published();
    expect(lagsMs).toHaveLength(told);
    expect(lagsMs.every((lagMs) => lagMs > 0 && lagMs < 15_000)).toBe(true);
    await subject.close();
  });

  it(`answers, leaves and publishes what the store in memory does, for ${RUNS} random lists of requests`, async () => {
    const redis = await redisSubject(siteOf(server));
    const clock = new VirtualClock();
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(valueRequest, { minLength: 1, maxLength: 40 }), async (requests) => {
          await redis.redis.flushall();
          const heard = (await redis.published()).length;
          const embedded = new EmbeddedCacheServer({ clock });
          const messages: InvalidationMessage[] = [];
          await new MemoryInvalidationBus(embedded).subscribe(CHANNEL, {
            onMessage: (message) => messages.push(message),
            onTrusted: () => {},
            onUntrusted: () => {},
          });
          const memory = new MemoryCacheStore(embedded);
          for (const together of runsOfSets(requests)) {
            const answers = await Promise.all(together.map((one) => answer(redis.store, one)));
            for (const [index, one] of together.entries()) {
              expect(answers[index]).toEqual(await answer(memory, one));
            }
            expect(stands(await redis.store.getMany(KEYS))).toEqual(stands(await memory.getMany(KEYS)));
          }
          await clock.settle();
          expect((await redis.published()).slice(heard).map(said)).toEqual(messages.map(said));
          embedded.close();
        }),
        { numRuns: RUNS },
      );
    } finally {
      await redis.close();
    }
  });
});
