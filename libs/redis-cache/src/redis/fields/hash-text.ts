import type { StoredEntry } from '../../store/cache.store.js';
import { hashStamp, type StoredField } from '../../store/fields.store.js';
import { joinFields, splitFields } from '../../store/fields-text.js';
import type { EntryVersion } from '../../version/entry-version.js';
import type { RedisLink } from '../connection/redis.link.js';
import type { EntryForm, VersionedWrite } from '../entries/entry-form.js';
import { entryText, readEntry, readVersion } from '../entries/entry-text.js';

/** The header of a hash is its field of this name. */
export const HEADER = '';
/** As the end of a field's life: it has none of its own. */
const NEVER_MS = 0;
const FIRST_REVISION = '0000000000';
const HEADER_TEXT = /^1H(\d{45})(\d{13})(\d{10})$/;
const FIELD_TEXT = /^1([VT])(\d{45})(\d{13})(.*)$/s;

/** The text of a field, or of its tombstone (`payload` null): like that of an entry. @param endsAtMs `undefined`: it lives as long as the hash. */
export function fieldText(version: EntryVersion, payload: string | null, endsAtMs: number | undefined): string {
  return entryText(payload === null ? 'T' : 'V', version, endsAtMs ?? NEVER_MS, payload ?? '');
}

/** A field as it is stored; `undefined`: there is none, or it was deleted, or its life is over. */
export function readField(
  text: string | null | undefined,
  nowMs: number,
): (StoredField & { ttlMs: number }) | undefined {
  const [, kind, digits = '', end, payload = ''] = FIELD_TEXT.exec(text ?? '') ?? [];
  const version = readVersion(digits);
  const ttlMs = Number(end) === NEVER_MS ? Infinity : Number(end) - nowMs;
  return version === undefined || kind !== 'V' || ttlMs <= 0 ? undefined : { version, payload, ttlMs };
}

/** What the header of a hash says; an entry that has no fields says it by itself. */
export function readHeader(
  text: string | null | undefined,
  nowMs: number,
): { kind: 'hash'; version: EntryVersion; ttlMs: number } | Exclude<StoredEntry, { kind: 'value' }> | undefined {
  const [, digits = '', end, revision] = HEADER_TEXT.exec(text ?? '') ?? [];
  const base = readVersion(digits);
  if (base !== undefined) {
    return { kind: 'hash', version: hashStamp(base, BigInt(revision ?? 0)), ttlMs: Math.max(1, Number(end) - nowMs) };
  }
  const entry = readEntry(text ?? null, nowMs);
  return entry?.kind === 'value' ? undefined : entry;
}

/** An entry is one hash, read by HGETALL. */
export const HASHES: EntryForm = Object.freeze({
  scripts: Object.freeze({
    set: 'smartpulseHashSet',
    refresh: 'smartpulseHashRefresh',
    invalidate: 'smartpulseHashInvalidate',
    getOrLease: 'smartpulseHashGetOrLease',
    renew: 'smartpulseHashRenew',
    release: 'smartpulseHashRelease',
    sweep: 'smartpulseHashSweep',
  }),
  readsTogether: false,
  setsTogether: false,
  get: (link: RedisLink, key: string) => link.getHash(key),
  getMany: (link: RedisLink, keys: readonly string[]) => Promise.all(keys.map((key) => link.getHash(key))),
  read: (stored: unknown, nowMs: number) => readHash(pairsOf(stored), nowMs),
  write: ({ payload, version }: VersionedWrite, endsAtMs: number) =>
    payload === null
      ? [entryText('N', version, endsAtMs)]
      : [
          entryText('H', version, endsAtMs, FIRST_REVISION),
          ...splitFields(payload).flatMap((field) => [field.name, fieldText(field.version, field.payload, undefined)]),
        ],
  // In the order of the store, and as it joins them.
  written: ({ ttlMs }: VersionedWrite, texts: readonly string[]) => {
    const entry = readHash(pairsOf([HEADER, ...texts]), 0);
    return entry && { ...entry, ttlMs };
  },
});

/** A command answers a record, a script names and texts in turn. */
function pairsOf(stored: unknown): Map<string, unknown> {
  if (!Array.isArray(stored)) {
    return new Map(typeof stored === 'object' && stored !== null ? Object.entries(stored) : []);
  }
  const list: readonly unknown[] = stored;
  const pairs = new Map<string, unknown>();
  for (let at = 0; at + 1 < list.length; at += 2) {
    pairs.set(String(list[at]), list[at + 1]);
  }
  return pairs;
}

function readHash(pairs: Map<string, unknown>, nowMs: number): StoredEntry | undefined {
  const textOf = (text: unknown): string | undefined => (typeof text === 'string' ? text : undefined);
  const header = readHeader(textOf(pairs.get(HEADER)), nowMs);
  if (header?.kind !== 'hash') {
    return header;
  }
  let { ttlMs } = header;
  const fields = [];
  for (const [name, text] of pairs) {
    const field = name === HEADER ? undefined : readField(textOf(text), nowMs);
    if (field !== undefined) {
      fields.push({ name, version: field.version, payload: field.payload });
      ttlMs = Math.min(ttlMs, field.ttlMs);
    }
  }
  return { kind: 'value', version: header.version, payload: joinFields(fields), ttlMs };
}
