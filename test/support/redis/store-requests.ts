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
/** In one slot, so that both can be set in one step. */
export const KEYS = ['{test:contract:g}a}:v', '{test:contract:g}b}:v'] as const;
export const LIFE_MS = 60_000;

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

/** One request to a store of values, which may be kept beyond their life, be set together, or populate a namespace. */
export const valueRequest = fc.oneof(
  request,
  fc.record({
    kind: fc.constant('set' as const),
    key,
    stamp,
    synced,
    token: fc.option(token, { nil: undefined }),
    negative: fc.constant(false),
    // Old from the first moment, in the real time of one store and the standing time of the other.
    old: fc.constant(true),
  }),
  fc.record({ kind: fc.constant('setAll' as const), stamps: fc.tuple(stamp, stamp), synced }),
  fc.record({ kind: fc.constant('refresh' as const), key, stamp, synced, populate: fc.constant(true) }),
  fc.record({ kind: fc.constant('invalidate' as const), key, stamp, synced, populate: fc.constant(true) }),
  fc.record({ kind: fc.constant('sweep' as const), stamp, synced, populate: fc.constant(true) }),
  fc.record({ kind: fc.constant('lease' as const), key, token, withinMs: fc.constantFrom(0, LIFE_MS * 2) }),
);

type Drawn<A> = A extends fc.Arbitrary<infer T> ? T : never;
export type Request = Drawn<typeof request> | Drawn<typeof valueRequest>;

/** What a store answers, without what is left of lives. @param payloadOf what it stores for a text. */
export async function answer(
  store: CacheStore,
  one: Request,
  payloadOf: (text: string, version: EntryVersion) => string = (text) => text,
): Promise<unknown> {
  const origin = {
    channel: CHANNEL,
    source: 'a',
    synced: 'synced' in one ? one.synced : true,
    populate: 'populate' in one,
  };
  switch (one.kind) {
    case 'set': {
      const payload = one.negative ? null : payloadOf(`"${one.stamp.version}"`, one.stamp);
      return plain(
        await store.set({ ...origin, key: one.key, version: one.stamp, payload, ...lifeOf('old' in one) }, one.token),
      );
    }
    case 'setAll': {
      const replies = await store.setAll(
        one.stamps.map((version, index) => ({
          ...origin,
          key: KEYS[index] ?? KEYS[0],
          version,
          payload: payloadOf(`"a${version.version}"`, version),
          ttlMs: LIFE_MS,
        })),
      );
      return replies.map(({ outcome, current }) => ({ outcome, current: stands([current])[0] }));
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
      return plain(await store.getOrLease(one.key, one.token, LIFE_MS, 'withinMs' in one ? one.withinMs : undefined));
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

function lifeOf(old: boolean): { ttlMs: number; keptMs?: number } {
  return old ? { ttlMs: -LIFE_MS, keptMs: LIFE_MS * 2 } : { ttlMs: LIFE_MS };
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
      : { kind: reply.kind, floor: 'floor' in reply && reply.floor, kept: stands([reply.kept])[0] };
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
