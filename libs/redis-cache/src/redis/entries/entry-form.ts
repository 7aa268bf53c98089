import type { StoredEntry, StoreWrite } from '../../store/cache.store.js';
import type { EntryVersion } from '../../version/entry-version.js';
import type { RedisLink } from '../connection/redis.link.js';
import type { ScriptName } from './commands.js';
import { entryText, readEntry } from './entry-text.js';

/** A write whose version is known, or a draft. */
export type VersionedWrite = StoreWrite & { readonly version: EntryVersion };

/** What an entry is in Redis: how it is read, and what scripts are given to store it. */
export interface EntryForm {
  readonly scripts: Readonly<
    Record<'set' | 'refresh' | 'invalidate' | 'getOrLease' | 'renew' | 'release' | 'sweep', ScriptName>
  >;
  /** {@link getMany} is one command, where all keys are in one server. */
  readonly readsTogether: boolean;
  /** There is a script that sets several, where all keys are in one server. */
  readonly setsTogether: boolean;
  get(link: RedisLink, key: string): Promise<unknown>;
  /** Aligned with the keys. */
  getMany(link: RedisLink, keys: readonly string[]): Promise<readonly unknown[]>;
  /** Reads what a command or a script answered; what is not of this format counts as absent. */
  read(stored: unknown, nowMs: number): StoredEntry | undefined;
  /** The header, and what else belongs to it. */
  write(write: VersionedWrite, endsAtMs: number): readonly string[];
  /** What stands there when a write was applied, unless the script says what does. */
  written(write: VersionedWrite, texts: readonly string[]): StoredEntry | undefined;
}

/** An entry is one string: the header and the payload. */
export const STRINGS: EntryForm = Object.freeze({
  scripts: Object.freeze({
    set: 'smartpulseSet',
    refresh: 'smartpulseRefresh',
    invalidate: 'smartpulseInvalidate',
    getOrLease: 'smartpulseGetOrLease',
    renew: 'smartpulseRenew',
    release: 'smartpulseRelease',
    sweep: 'smartpulseSweep',
  }),
  readsTogether: true,
  setsTogether: true,
  get: (link: RedisLink, key: string) => link.get(key),
  getMany: (link: RedisLink, keys: readonly string[]) => link.getMany(keys),
  read: (stored: unknown, nowMs: number) => (typeof stored === 'string' ? readEntry(stored, nowMs) : undefined),
  write: ({ payload, version }: VersionedWrite, endsAtMs: number) => [
    payload === null ? entryText('N', version, endsAtMs) : entryText('V', version, endsAtMs, payload),
  ],
  written: ({ version, payload, ttlMs }: VersionedWrite): StoredEntry =>
    payload === null ? { kind: 'negative', version, ttlMs } : { kind: 'value', version, payload, ttlMs },
});
