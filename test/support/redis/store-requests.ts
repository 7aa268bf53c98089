import type {
  CacheStore,
  ChangeReply,
  InvalidationMessage,
  LeaseReply,
  SetReply,
  StoredEntry,
  SweepRequest,
} from '@smartpulse/redis-cache';
import { EntryVersion } from '@smartpulse/redis-cache';
import * as fc from 'fast-check';

const CHANNEL = 'test:contract:!inv';
export const KEYS = ['{test:contract:a}:v', '{test:contract:b}:v'] as const;

/** Beyond what a double can tell apart. */
export const stamp = fc
  .record({ epoch: fc.bigInt(1n, 2n), version: fc.bigInt(9_007_199_254_740_990n, 9_007_199_254_740_996n) })
  .map((at) => new EntryVersion(at.epoch, at.version));
export const key = fc.constantFrom(...KEYS);
const token = fc.constantFrom('t', 'u');
export const synced = fc.boolean();

/** One request to a store. */
export const request = fc.oneof(
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
export type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

export const LIFE_MS = 60_000;

/** What a store answers, without what is left of lives. @param payloadOf what it stores for a text. */
export async function answer(
  store: CacheStore,
  one: Request,
  payloadOf: (text: string, version: EntryVersion) => string = (text) => text,
): Promise<unknown> {
  const origin = { channel: CHANNEL, source: 'a', synced: 'synced' in one ? one.synced : true };
  switch (one.kind) {
    case 'set': {
      const payload = one.negative ? null : payloadOf(`"${one.stamp.version}"`, one.stamp);
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
          payload: payloadOf(`"r${one.stamp.version}"`, one.stamp),
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

/** What stands, without what is left of lives. */
export function stands(entries: readonly (StoredEntry | undefined)[]): readonly unknown[] {
  return entries.map((entry) => entry && { ...entry, ttlMs: entry.ttlMs > 0 });
}

/** A message as one line. */
export function said({ source, action, key: of, version: at }: InvalidationMessage): string {
  return `${source} ${action} ${of} ${at?.toString() ?? '-'}`;
}
