import type { EntryVersion } from '../version/entry-version.js';

/** The state of one key in the store: a key that has none of these is absent. */
export type StoredEntry =
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

/** Who writes, so that replicas can tell their own messages, and where the message goes. */
export interface StoreOrigin {
  /** The channel of the namespace that every replica of it listens to. */
  readonly channel: string;
  /** The writing replica. */
  readonly source: string;
  /** The namespace is fed by a sync: no tombstones, and a write without a lease never creates. */
  readonly synced: boolean;
}

/** A value (`payload` text) or a negative entry (`payload` null) to store under a version. */
export interface StoreWrite extends StoreOrigin {
  readonly key: string;
  readonly version: EntryVersion;
  readonly payload: string | null;
  readonly ttlMs: number;
}

/** The answer to a `set`; `current` is what stands in the store afterwards (also the winner that refused us). */
export interface SetReply {
  readonly outcome: SetOutcome;
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
  /** Used by namespaces that are not synced. */
  readonly tombstoneTtlMs: number;
}

/** What one call of a sweep did. */
export interface SweepReply {
  /** Values, negative entries and leases that this call removed. */
  readonly swept: number;
  /** To go on with; `null`: the sweep has ended, and replicas were told. */
  readonly cursor: string | null;
}

/** `hit`: usable entry; `leased`: you load, with `floor`; `wait`: another loads, its lease lives `remainingMs` more. */
export type LeaseReply =
  | { readonly kind: 'hit'; readonly entry: Extract<StoredEntry, { kind: 'value' | 'negative' }> }
  | { readonly kind: 'leased'; readonly floor: EntryVersion }
  | { readonly kind: 'wait'; readonly remainingMs: number };

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
 * - Every `set` that was applied, and every `refresh`, `invalidate` and `evict` **also when it found nothing**, publishes a
 *   message on the channel in the same atomic step.
 */
export abstract class CacheStore {
  /** The store outlives this process. */
  abstract readonly durable: boolean;
  /** Other processes see the same store. */
  abstract readonly shared: boolean;

  /** Reads value and version in one step; `undefined` = absent or expired. */
  abstract get(key: string): Promise<StoredEntry | undefined>;
  /** Reads many keys; the answer is aligned with `keys`. */
  abstract getMany(keys: readonly string[]): Promise<readonly (StoredEntry | undefined)[]>;
  abstract set(write: StoreWrite, leaseToken?: string): Promise<SetReply>;
  abstract refresh(write: StoreWrite & { readonly payload: string }): Promise<ChangeReply>;
  /** `tombstoneTtlMs` is used by namespaces that are not synced. */
  abstract invalidate(
    key: string,
    version: EntryVersion,
    origin: StoreOrigin,
    tombstoneTtlMs: number,
  ): Promise<ChangeReply>;
  /** For what has no readable stamp: leaves the key absent and kills a lease. */
  abstract evict(key: string, origin: StoreOrigin): Promise<void>;
  /** A usable value, or the one lease to load it, or word that another replica holds it. */
  abstract getOrLease(key: string, token: string, leaseMs: number): Promise<LeaseReply>;
  /** Extends a lease that still stands; `false` = lost. */
  abstract renewLease(key: string, token: string, leaseMs: number): Promise<boolean>;
  /** Gives a lease back after a failed load: the key becomes absent. Publishes, so that waiters try again. */
  abstract releaseLease(key: string, token: string, origin: StoreOrigin): Promise<void>;
  /** One bounded part of a sweep of a namespace; without a cursor it begins. */
  abstract sweep(request: SweepRequest, cursor?: string): Promise<SweepReply>;
}
