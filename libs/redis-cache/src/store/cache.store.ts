import type { EntryVersion } from '../version/entry-version.js';

/** The state of one key in the store: a key that has none of these is absent. `ttlMs` is what is left of its life. */
export type StoredEntry =
  /** Its `ttlMs` is 0 or less when it counts as old and is kept for fail-safe. */
  | { readonly kind: 'value'; readonly version: EntryVersion; readonly payload: string; readonly ttlMs: number }
  /** The source has no such row, as a loader found; `version` is its stamp. */
  | { readonly kind: 'negative'; readonly version: EntryVersion; readonly ttlMs: number }
  /** Deleted at `version`; only in namespaces that are not synced. */
  | { readonly kind: 'tombstone'; readonly version: EntryVersion; readonly ttlMs: number }
  /** One loader is at work; `floor` is the lowest stamp that its value may carry. */
  | { readonly kind: 'lease'; readonly floor: EntryVersion; readonly ttlMs: number };

/** What a change did: `deferred` = it found a lease and raised its floor. */
export type ChangeOutcome = 'applied' | 'duplicate' | 'stale' | 'absent' | 'deferred';

/** What a write did: everything but `applied` left the store as it was. */
export type SetOutcome = 'applied' | 'duplicate' | 'stale' | 'leaseLost' | 'absent';

/** A version that the source gave, or `next`: the store gives one, above what it holds for the key and not below its own clock in microseconds. */
export type GivenVersion = EntryVersion | 'next';

/** Who writes, so that replicas can tell their own messages, and where the message goes. */
export interface StoreOrigin {
  /** The channel of the namespace that every replica of it listens to. */
  readonly channel: string;
  /** The writing replica. */
  readonly source: string;
  /** The namespace is fed by a sync: no tombstones, and a write without a lease never creates. */
  readonly synced: boolean;
  /** In a synced namespace: a refresh creates, and there are tombstones, so that a late one does not create what was deleted. Default `false`. */
  readonly populate?: boolean | undefined;
}

/** A value (`payload` text) or a negative entry (`payload` null) to store under a version. */
export interface StoreWrite extends StoreOrigin {
  readonly key: string;
  readonly version: GivenVersion;
  readonly payload: string | null;
  /** Until it counts as old. */
  readonly ttlMs: number;
  /** How long a value is kept beyond that, for fail-safe. Default 0. */
  readonly keptMs?: number | undefined;
}

/** What a change brought. */
export interface StoreRefresh extends StoreWrite {
  readonly version: EntryVersion;
  readonly payload: string;
}

/** The answer to a `set`; `current` is what stands in the store afterwards (also the winner that refused us). */
export interface SetReply {
  readonly outcome: SetOutcome;
  readonly current: StoredEntry | undefined;
}

/** What became of one entry of a {@link CacheStore.setAll}; `withheld`: it would have been stored, but not all of them would. */
export interface SetAllReply {
  readonly outcome: SetOutcome | 'withheld';
  readonly current: StoredEntry | undefined;
}

/** The answer to a change; `floor` is what the store now guarantees for the key where it knows it. */
export interface ChangeReply {
  readonly outcome: ChangeOutcome;
  readonly version: EntryVersion | undefined;
}

/** The names that the keys of one namespace have in the store: those that begin with `before` and end with `after`. */
export interface StoredKeys {
  readonly before: string;
  readonly after: string;
}

/** A sweep of a namespace: the same in every call of it. */
export interface SweepRequest extends StoreOrigin {
  readonly keys: StoredKeys;
  /** What is stamped at or below goes. */
  readonly version: EntryVersion;
  /** Keys to look at in one call, about: a call does so much and no more. At least 1. */
  readonly limit: number;
  /** Used by namespaces that have tombstones. */
  readonly tombstoneTtlMs: number;
}

/** What one call of a sweep did. */
export interface SweepReply {
  /** Values, negative entries and leases that this call removed. */
  readonly swept: number;
  /** To go on with; `null`: the sweep has ended, and replicas were told. */
  readonly cursor: string | null;
}

/** `hit`: usable entry; `leased`: you load, with `floor`; `wait`: another loads, its lease lives `remainingMs` more. `kept`: the value that stays meanwhile. */
export type LeaseReply =
  | { readonly kind: 'hit'; readonly entry: Extract<StoredEntry, { kind: 'value' | 'negative' }> }
  | { readonly kind: 'leased'; readonly floor: EntryVersion; readonly kept?: KeptValue | undefined }
  | { readonly kind: 'wait'; readonly remainingMs: number; readonly kept?: KeptValue | undefined };

/** A value that stands while it is loaded anew. */
export type KeptValue = Extract<StoredEntry, { kind: 'value' }>;

/**
 * The shared level of the cache, as a port: one key, one entry, one atomic step per call.
 *
 * An implementer guarantees, for each key:
 * - `set` stores only a version above the stored one (equal: `duplicate`, below: `stale`); with a lease token only while that
 *   very lease stands, at a version at or above its floor (below: `stale`, and the lease is freed while its floor is kept for
 *   the next lease; gone or another's: `leaseLost`, whatever is found). A `set` without a token, in a synced namespace,
 *   answers `absent` on an absent key and on a lease; in an unsynced one it is accepted above a lease's floor or a tombstone.
 * - `refresh` replaces an older value, never creates: on a lease it raises the floor (`deferred`), on nothing it is `absent`.
 * - `invalidate` removes a value below the version (synced: the key becomes absent; otherwise a tombstone); on a value at or
 *   above it is a no-op (`duplicate` when equal, `stale` when above); on a lease it raises the floor, never lowers it
 *   (`deferred`).
 * - `evict` leaves the key absent, with no floor, and kills a lease.
 * - `sweep`, called until its cursor is `null`, removes every value and negative entry of the namespace that is stamped at or below the
 *   version, and kills every lease, whatever its floor: a loader that began before the sweep may have read what is gone, under a stamp
 *   that nothing moves. That holds for all keys that were there when the sweep began; a key written while it runs may be passed
 *   by. What is above the version stays. Synced: the key becomes absent, with no floor; otherwise a tombstone of the version (or
 *   the lease's floor, if higher) is left, and tombstones stay. Each key is one atomic step; the call that ends the sweep publishes one `flush`
 *   **after** its last key, also when nothing was found. Repeating a sweep, whole or from any cursor, is harmless.
 * - A version of `next` is above what the key holds, a lease's floor included, so that such a write is never refused for its version; an `invalidate` of
 *   `next` leaves a tombstone also in the place of a lease, whose loader may have read what is old now.
 * - `setAll` stores all of its entries, which are of one group ({@link StoreOrigin} the same, keys in one slot), or none.
 * - `getOrLease` with `withinMs` grants a lease also over a value whose life has no more than so much left. The value stays, and is served, until the lease's
 *   holder replaces it at a version at or above the value's own; a `release` leaves it. A change that finds it acts on the value: newer ones replace it
 *   (the lease is gone then), an `invalidate` above it leaves a plain lease with that floor.
 * - `stamp` answers a version of `next` that stands for the key: the same to everybody, until an `invalidate` of `next` gives a higher one.
 * - `populate` changes two of these rules for a synced namespace: a `refresh` creates, on nothing and at or above a tombstone, and what is removed leaves a tombstone.
 * - Every `set` that was applied, and every `refresh`, `invalidate` and `evict` **also when it found nothing**, publishes a
 *   message on the channel in the same atomic step.
 */
export abstract class CacheStore {
  /** The store outlives this process. */
  abstract readonly durable: boolean;
  /** Other processes see the same store. */
  abstract readonly shared: boolean;

  /**
   * `true`: {@link getMany} is one question to one server, which costs and fails as a single {@link get} does. The cache then asks together for what is read in
   * one turn of the event loop. Default `false`.
   */
  get readsTogether(): boolean {
    return false;
  }

  /** Reads value and version in one step; `undefined` = absent or expired. */
  abstract get(key: string): Promise<StoredEntry | undefined>;
  /** Reads many keys; the answer is aligned with `keys`. */
  abstract getMany(keys: readonly string[]): Promise<readonly (StoredEntry | undefined)[]>;
  abstract set(write: StoreWrite, leaseToken?: string): Promise<SetReply>;
  abstract refresh(write: StoreRefresh): Promise<ChangeReply>;
  /** Sets without a lease, of keys in one slot: all of them or none. At least one, no key twice. The answer is aligned with them. */
  abstract setAll(writes: readonly StoreWrite[]): Promise<readonly SetAllReply[]>;
  /** `tombstoneTtlMs` is used by namespaces that have tombstones. */
  abstract invalidate(
    key: string,
    version: GivenVersion,
    origin: StoreOrigin,
    tombstoneTtlMs: number,
  ): Promise<ChangeReply>;
  /** For what has no readable stamp: leaves the key absent and kills a lease. */
  abstract evict(key: string, origin: StoreOrigin): Promise<void>;
  /** A usable value, or the one lease to load it, or word that another replica holds it. */
  abstract getOrLease(key: string, token: string, leaseMs: number, withinMs?: number): Promise<LeaseReply>;
  /** Extends a lease that still stands; `false` = lost. */
  abstract renewLease(key: string, token: string, leaseMs: number): Promise<boolean>;
  /** Gives a lease back after a failed load: the key becomes absent, or what it was before. Publishes, so that waiters try again. */
  abstract releaseLease(key: string, token: string, origin: StoreOrigin): Promise<void>;
  /** The version that stands for a key that has no value of its own; made when there is none. It lives from now on for `ttlMs`. */
  abstract stamp(key: string, ttlMs: number): Promise<EntryVersion>;
  /** One bounded part of a sweep of a namespace; without a cursor it begins. */
  abstract sweep(request: SweepRequest, cursor?: string): Promise<SweepReply>;
}
