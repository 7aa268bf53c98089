import {
  EntryVersion,
  type FieldsStore,
  type InvalidationMessage,
  joinFields,
  splitFields,
} from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryFieldsStore, MemoryInvalidationBus } from '@smartpulse/redis-cache/embedded';
import { RedisFieldsStore } from '@smartpulse/redis-cache/redis';
import { VirtualClock } from '@smartpulse/resilience/testing';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyRedisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';
import { redisSubject, siteOf } from '../../support/redis/redis-subject.js';
import {
  answer,
  key,
  KEYS,
  LIFE_MS,
  request,
  said,
  stamp,
  stands,
  synced,
} from '../../support/redis/store-requests.js';

const programs = await everyRedisForTests();
const RUNS = 150;
const CHANNEL = 'test:contract:!inv';
const NAMES = ['a', 'b', '__proto__'] as const;

describe.each(programs)('hashes of fields on Redis $version', (program) => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await RedisServer.start({ program });
  });
  afterAll(() => server?.stop());

  it(`answer, leave and publish what those in memory do, for ${RUNS} random lists of requests`, async () => {
    const subject = await redisSubject(siteOf(server));
    const clock = new VirtualClock();
    const redis = new RedisFieldsStore(subject.link);
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.oneof(fields, fields, request), { minLength: 1, maxLength: 40 }),
          async (requests) => {
            await subject.redis.flushall();
            const heard = (await subject.published()).length;
            const embedded = new EmbeddedCacheServer({ clock });
            const messages: InvalidationMessage[] = [];
            await new MemoryInvalidationBus(embedded).subscribe(CHANNEL, {
              onMessage: (message) => messages.push(message),
              onTrusted: () => {},
              onUntrusted: () => {},
            });
            const memory = new MemoryFieldsStore(embedded);
            for (const one of requests) {
              expect(await reply(redis, one)).toEqual(await reply(memory, one));
              expect(await holds(redis)).toEqual(await holds(memory));
            }
            await clock.settle();
            expect((await subject.published()).slice(heard).map(said)).toEqual(messages.map(said));
            embedded.close();
          },
        ),
        { numRuns: RUNS },
      );
    } finally {
      await subject.close();
    }
  });

  const isKeptByServer = Number.parseFloat(program.version) >= 7.4;
  it(`frees a field ${isKeptByServer ? 'at the end of its own life' : 'no sooner than its hash, and shows it no longer than its life'}`, async () => {
    const subject = await redisSubject(siteOf(server));
    try {
      const store = new RedisFieldsStore(subject.link);
      const set = (counter: bigint, ttlMs: number | undefined, ...names: readonly string[]): Promise<unknown> =>
        store.setFields({
          key: 'lives',
          fields: names.map((name) => ({ name, version: new EntryVersion(1n, counter), payload: '1', ttlMs })),
          synced: false,
          atomic: false,
          maxFields: 9,
          channel: CHANNEL,
          source: 'a',
          ttlMs: 60_000,
          tombstoneTtlMs: LIFE_MS,
        });
      const stored = subject.link.stored('lives');
      const there = async (): Promise<readonly unknown[]> => [
        await subject.redis.hexists(stored, 'short'),
        (await store.getFields('lives', ['short']))?.kind,
      ];
      await set(1n, undefined, 'eternal');
      await set(2n, 300, 'short');
      expect((await there())[0]).toBe(1);
      if (isKeptByServer) {
        const [short, eternal] = (await subject.redis.call(
          'HPTTL',
          stored,
          'FIELDS',
          2,
          'short',
          'eternal',
        )) as number[];
        expect(short).toBeGreaterThan(0);
        expect(short).toBeLessThanOrEqual(300);
        expect(eternal).toBe(-1);
        await expect.poll(there).toEqual([0, 'fields']);
        await set(3n, 300, 'short');
        await set(4n, undefined, 'short');
        expect(await subject.redis.call('HPTTL', stored, 'FIELDS', 1, 'short')).toEqual([-1]);
      } else {
        await expect
          .poll(async () =>
            JSON.stringify(await store.getFields('lives', ['short']), (_, part: unknown) =>
              typeof part === 'bigint' ? String(part) : part,
            ),
          )
          .not.toContain('"payload":"1"');
        expect((await there())[0]).toBe(1);
      }
    } finally {
      await subject.close();
    }
  });
});

const fields = fc.record({
  kind: fc.constant('fields' as const),
  key,
  synced,
  atomic: fc.boolean(),
  maxFields: fc.constantFrom(2, 9),
  fields: fc.uniqueArray(
    fc.record({ name: fc.constantFrom(...NAMES), version: stamp, payload: fc.constantFrom('1', 'ğ€', null) }),
    { minLength: 1, maxLength: 3, selector: ({ name }) => name },
  ),
});
type One =
  typeof request extends fc.Arbitrary<infer T> ? T | (typeof fields extends fc.Arbitrary<infer F> ? F : never) : never;

/** Two fields for a text, of which a step may have replaced one. */
const hashOf = (text: string, at: EntryVersion): string =>
  joinFields(NAMES.slice(1).map((name) => ({ name, version: at, payload: text })));

async function reply(store: FieldsStore, one: One): Promise<unknown> {
  if (one.kind !== 'fields') {
    return sorted(await answer(store.hashes, one, hashOf));
  }
  const { kind: _, ...write } = one;
  return store.setFields({ ...write, channel: CHANNEL, source: 'a', ttlMs: LIFE_MS, tombstoneTtlMs: LIFE_MS });
}

async function holds(store: FieldsStore): Promise<unknown> {
  const [first] = KEYS;
  const some = await store.getFields(first, NAMES);
  return [sorted(stands(await store.hashes.getMany(KEYS))), some?.kind === 'fields' ? some : stands([some])];
}

/** A hash has no order of its fields. */
function sorted(value: unknown): unknown {
  const ordered: unknown = JSON.parse(JSON.stringify(value ?? null), (name, part: unknown) =>
    name === 'payload' && typeof part === 'string'
      ? splitFields(part)
          .map((field) => `${field.name} ${field.version.toString()} ${field.payload}`)
          .toSorted()
      : part,
  );
  return ordered;
}
