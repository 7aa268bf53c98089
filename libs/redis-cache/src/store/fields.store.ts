import { EntryVersion } from '../version/entry-version.js';
import type { CacheStore, StoredEntry, StoreOrigin } from './cache.store.js';

/** What one field is to become; `payload` null deletes it, and leaves a tombstone of the version. */
export interface FieldWrite {
  readonly name: string;
  readonly version: EntryVersion;
  readonly payload: string | null;
  /** Its own life, milliseconds: it ends by the server's clock, never later than the hash. Default: as long as the hash. Not in a synced namespace. */
  readonly ttlMs?: number | undefined;
}

/** Fields of one hash to write in one step. No name comes twice. */
export interface FieldsWrite extends StoreOrigin {
  readonly key: string;
  readonly fields: readonly FieldWrite[];
  /** All or nothing: one field that is not above what stands, and none is written. */
  readonly atomic: boolean;
  /** Fields, tombstones among them, that the hash may have afterwards. */
  readonly maxFields: number;
  /** Where no sync feeds the namespace: the hash lives so long at least. Otherwise a change moves no life. */
  readonly ttlMs: number;
  /** Where no sync feeds the namespace: life of a field's tombstone, milliseconds. Otherwise it lives as long as the hash. */
  readonly tombstoneTtlMs: number;
}

/** What became of one field. `held`: it was above what stands, and another one was not. */
export type StoredFieldOutcome = 'applied' | 'duplicate' | 'stale' | 'held';

/** The answer to {@link FieldsStore.setFields}. */
export interface SetFieldsReply {
  /**
   * `created`: there was no hash (not in a synced namespace). `applied`: fields were written. `unchanged`: there is a hash, and nothing was written.
   * `absent`, `deferred`: as a change of a whole value. `full`: it would have more fields than it may, and nothing was written.
   */
  readonly outcome: 'created' | 'applied' | 'unchanged' | 'absent' | 'deferred' | 'full';
  /** Aligned with the write where a hash was found or made, empty otherwise. */
  readonly fields: readonly StoredFieldOutcome[];
  /** The stamp that the key has reached, where there is one. */
  readonly version: EntryVersion | undefined;
}

/** One field that is there. */
export interface StoredField {
  readonly version: EntryVersion;
  readonly payload: string;
}

/** Some fields of one hash, from one moment; or what stands in its place. */
export type StoredFields =
  | {
      readonly kind: 'fields';
      /** The stamp of the hash. */
      readonly version: EntryVersion;
      /** Aligned with the names that were asked for. */
      readonly fields: readonly (StoredField | undefined)[];
    }
  | Exclude<StoredEntry, { kind: 'value' }>;

/**
 * The stamp of a whole hash: the version of its base, and in the place of the minor part how many steps have changed fields since. Never the highest version of
 * a field: a change that comes late is stored, too, where it is above its own field, and a stamp that stayed would hide it.
 */
export function hashStamp(base: EntryVersion, revision: bigint): EntryVersion {
  return new EntryVersion(base.epoch, base.version, revision);
}

/**
 * The shared level of the cache for hashes whose every field has a version, as a port: one key, one hash, one atomic step per call.
 *
 * A hash is a value, too: {@link hashes} keeps every promise of a {@link CacheStore}, with the payload of `joinFields` and {@link hashStamp} as its version. Its base
 * (a version without a minor part) is what was loaded; floors, invalidations and sweeps are compared with the base. Beyond those promises:
 * - a whole hash that replaces another one, and an invalidation or sweep where no sync feeds the namespace, leave fields (and tombstones of fields) that are stamped above it; that is a step of the new base, so that nobody takes what was given for what stands.
 * - `setFields` compares each field with its own version, or with the base where it has none: above it is written, equal is `duplicate`, below `stale`. A deleted field leaves
 *   a tombstone, which counts as its version. A step that wrote something adds one to the revision, and publishes the new stamp.
 * - In a synced namespace `setFields` never creates: on nothing it is `absent` and publishes the highest version given, on a lease it raises the floor to that one (`deferred`). The
 *   life of the hash stays. In others it creates, over a tombstone, a lease and nothing, with the floor found there as base: `created`, and `evict` is published, because the new revision orders nothing
 *   that was there before.
 * - A field whose life is over, by the server's clock, counts as never written.
 */
export abstract class FieldsStore {
  /** The same hashes as whole values. They are not kept beyond their life, have no versions of the store's, and are not set together. */
  abstract readonly hashes: CacheStore;

  /** Reads some fields in one step; `undefined` = the key is absent or expired. */
  abstract getFields(key: string, names: readonly string[]): Promise<StoredFields | undefined>;
  abstract setFields(write: FieldsWrite): Promise<SetFieldsReply>;
}
