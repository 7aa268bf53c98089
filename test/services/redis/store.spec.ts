import {
  type CacheStore,
  type ChangeReply,
  EntryVersion,
  type InvalidationMessage,
  type LeaseReply,
  type SetReply,
  type StoredEntry,
  type SweepRequest,
} from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryCacheStore, MemoryInvalidationBus } from '@smartpulse/redis-cache/embedded';
import { VirtualClock } from '@smartpulse/resilience/testing';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redisForTests, RedisServer } from '../../support/redis/redis-server.js';
import { redisSubject, siteOf } from '../../support/redis/redis-subject.js';
import { runRedisContracts } from './redis-contracts.js';

const version = redisForTests();
const RUNS = 150;
const CHANNEL = 'test:contract:!inv';
const KEYS = ['{test:contract:a}:v', '{test:contract:b}:v'] as const;

describe.runIf(version !== undefined)(`on Redis ${version}`, () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server?.stop());

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

  it(`answers, leaves and publishes what the store in memory does, for ${RUNS} random lists of requests`, async () => {
    const redis = await redisSubject(siteOf(server));
    const clock = new VirtualClock();
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 40 }), async (requests) => {
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
          for (const one of requests) {
            expect(await answer(redis.store, one)).toEqual(await answer(memory, one));
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

const stamp = fc
  .record({ epoch: fc.bigInt(1n, 2n), version: fc.bigInt(9_007_199_254_740_990n, 9_007_199_254_740_996n) })
  .map((at) => new EntryVersion(at.epoch, at.version));
const key = fc.constantFrom(...KEYS);
const token = fc.constantFrom('t', 'u');
const synced = fc.boolean();

const request = fc.oneof(
  fc.record({
    kind: fc.constant('set' as const),
    key,
    stamp,
    synced,
    token: fc.option(token, { nil: undefined }),
    negative: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('refresh' as const), key, stamp, synced }),
  fc.record({ kind: fc.constant('invalidate' as const), key, stamp, synced }),
  fc.record({ kind: fc.constant('evict' as const), key, synced }),
  fc.record({ kind: fc.constant('lease' as const), key, token }),
  fc.record({ kind: fc.constant('renew' as const), key, token }),
  fc.record({ kind: fc.constant('release' as const), key, token, synced }),
  fc.record({ kind: fc.constant('sweep' as const), stamp, synced }),
);
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

const LIFE_MS = 60_000;

/** What a store answers, without what is left of lives. */
async function answer(store: CacheStore, one: Request): Promise<unknown> {
  const origin = { channel: CHANNEL, source: 'a', synced: 'synced' in one ? one.synced : true };
  switch (one.kind) {
    case 'set': {
      const payload = one.negative ? null : `"${one.stamp.version}"`;
      return plain(
        await store.set({ ...origin, key: one.key, version: one.stamp, payload, ttlMs: LIFE_MS }, one.token),
      );
    }
    case 'refresh':
      return plain(
        await store.refresh({
          ...origin,
          key: one.key,
          version: one.stamp,
          payload: `"r${one.stamp.version}"`,
          ttlMs: LIFE_MS,
        }),
      );
    case 'invalidate':
      return plain(await store.invalidate(one.key, one.stamp, origin, LIFE_MS));
    case 'evict':
      await store.evict(one.key, origin);
      return 'evicted';
    case 'lease':
      return plain(await store.getOrLease(one.key, one.token, LIFE_MS));
    case 'renew':
      return store.renewLease(one.key, one.token, LIFE_MS);
    case 'release':
      await store.releaseLease(one.key, one.token, origin);
      return 'released';
    case 'sweep':
      return sweepAll(store, {
        ...origin,
        keys: { before: '{test:contract:', after: '}:v' },
        version: one.stamp,
        limit: 100,
        tombstoneTtlMs: LIFE_MS,
      });
    default:
      throw one satisfies never;
  }
}

async function sweepAll(store: CacheStore, sweep: SweepRequest): Promise<number> {
  let { swept, cursor } = await store.sweep(sweep);
  while (cursor !== null) {
    const reply = await store.sweep(sweep, cursor);
    swept += reply.swept;
    cursor = reply.cursor;
  }
  return swept;
}

function plain(reply: SetReply | ChangeReply | LeaseReply): unknown {
  if ('current' in reply) {
    return { ...reply, current: stands([reply.current])[0] };
  }
  if ('kind' in reply) {
    return reply.kind === 'hit'
      ? { kind: reply.kind, entry: stands([reply.entry])[0] }
      : reply.kind === 'wait'
        ? reply.kind
        : reply;
  }
  return reply;
}

function stands(entries: readonly (StoredEntry | undefined)[]): readonly unknown[] {
  return entries.map((entry) => entry && { ...entry, ttlMs: entry.ttlMs > 0 });
}

function said({ source, action, key: of, version: at }: InvalidationMessage): string {
  return `${source} ${action} ${of} ${at?.toString() ?? '-'}`;
}
