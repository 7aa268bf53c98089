import type { CacheLevel, LoadContext } from '../cache/cache-hit.js';
import type { EntryLives } from '../cache/entry-lives.js';
import type { EntryVersion } from '../version/entry-version.js';

/** What one field holds. */
export interface CacheField<T> {
  readonly value: T;
  /** The field reflects every commit of its row up to this version, perhaps later ones. */
  readonly version: EntryVersion;
}

/** The fields of a hash by name; a record without a prototype, so that a field may have any name. */
export type CacheFields<T> = Readonly<Record<string, CacheField<T>>>;

/** Some fields of a hash, from one moment. */
export interface FieldsHit<T> {
  /** Those that were asked for and are there. */
  readonly fields: CacheFields<T>;
  /** The stamp of the whole hash: its base, and as minor part how many steps changed fields since. */
  readonly version: EntryVersion;
  /** The lowest version among the fields; below `max`, they are not of one commit. `undefined`: there is none. */
  readonly min: EntryVersion | undefined;
  /** The highest version among the fields. */
  readonly max: EntryVersion | undefined;
  readonly level: CacheLevel;
  /** As in `CacheHit`. */
  readonly stale: boolean;
}

/** What a field is to become. */
export interface FieldChange<T> {
  /** `undefined` deletes the field, and leaves a tombstone of the version. */
  readonly value: T | undefined;
  readonly version: EntryVersion;
  /** Its own life, milliseconds. Not in a synced namespace. Default: `fieldTtlMs` of the namespace. */
  readonly ttlMs?: number | undefined;
}

/** How fields are written. */
export interface SetFieldsOptions {
  /** All or nothing: one field that is not newer than what stands, and none is written. Default `false`. */
  readonly atomic?: boolean | undefined;
  /** Where no sync feeds the namespace: the hash lives so long from now on at least, milliseconds. Default: `l2TtlMs` of the namespace. */
  readonly l2TtlMs?: number | undefined;
}

/** What became of one field. `held`: it was newer, and another one was not (all or nothing); `absent` and `deferred` as for the whole. */
export type FieldOutcome = 'applied' | 'duplicate' | 'stale' | 'held' | 'absent' | 'deferred';

/** What became of a write of fields. */
export interface SetFieldsResult {
  /** `applied`: at least one was written. `unchanged`: none was. `absent`: there is no hash. `deferred`: a load is under way, its floor was raised. */
  readonly outcome: 'applied' | 'unchanged' | 'absent' | 'deferred';
  readonly fields: Readonly<Record<string, FieldOutcome>>;
}

/** What a loader of a whole hash answers: every field, and the stamp that was read **before** them (or in one snapshot with them). */
export interface LoadedFields<T> extends EntryLives {
  /** `undefined`: the source has no such thing; it is remembered as a negative entry. */
  readonly value: Readonly<Record<string, T>> | undefined;
  /** The fields reflect every commit up to this version, perhaps later ones. Without a minor part. */
  readonly version: EntryVersion;
}

/** Reads all fields of a key from the source. */
export type FieldsLoader<T> = (context: LoadContext) => Promise<LoadedFields<T>>;
