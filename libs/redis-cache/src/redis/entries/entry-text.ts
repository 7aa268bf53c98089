import type { StoredEntry } from '../../store/cache.store.js';
import { EntryVersion } from '../../version/entry-version.js';

/** How an entry begins: format, kind, 45 digits of version or floor, 13 digits of the end of its life in milliseconds of the server's clock. */
const FORMAT = '1';
const VERSION_AT = 2;
const EXPIRY_AT = VERSION_AT + 45;
const HEADER_LENGTH = EXPIRY_AT + 13;
/** Of a value that is loaded anew: the end of the lease, in 13 digits, and its token, until a line feed; the payload follows. */
const TOKEN_AT = HEADER_LENGTH + 13;

/** The kinds of entries, as a letter. */
export type EntryKind = 'V' | 'N' | 'T' | 'L' | 'R' | 'H';

/** The text of an entry: a header of fixed width, then a value's payload or a lease's token. Scripts store it as it is. */
export function entryText(kind: EntryKind, version: EntryVersion, expiresAtMs: number, rest = ''): string {
  return `${FORMAT}${kind}${version.toString()}${expiryText(expiresAtMs)}${rest}`;
}

/** The end of a life as scripts put it into a header, in whole milliseconds: never a part of one more than was asked for. */
export function expiryText(expiresAtMs: number): string {
  return String(Math.max(0, Math.floor(expiresAtMs))).padStart(13, '0');
}

/**
 * Reads the text of an entry. What is not of this format counts as absent: another release, or another program, wrote it.
 *
 * @param nowMs the server's clock.
 */
export function readEntry(text: string | null, nowMs: number): StoredEntry | undefined {
  if (text === null || text.length < HEADER_LENGTH || !text.startsWith(FORMAT)) {
    return undefined;
  }
  const version = readVersion(text.slice(VERSION_AT, EXPIRY_AT));
  if (version === undefined) {
    return undefined;
  }
  const leftMs = Number(text.slice(EXPIRY_AT, HEADER_LENGTH)) - nowMs;
  // The key is there, so it lives: the clocks differ by less than a network round trip. Only a value may be there beyond its life.
  const ttlMs = Math.max(1, leftMs);
  switch (text.charAt(1)) {
    case 'V':
      return { kind: 'value', version, payload: text.slice(HEADER_LENGTH), ttlMs: leftMs };
    case 'R':
      return { kind: 'value', version, payload: text.slice(text.indexOf('\n', TOKEN_AT) + 1), ttlMs: leftMs };
    case 'N':
      return { kind: 'negative', version, ttlMs };
    case 'T':
      return { kind: 'tombstone', version, ttlMs };
    case 'L':
      return { kind: 'lease', floor: version, ttlMs };
    default:
      return undefined;
  }
}

/** The 45 digits of a version; `undefined` when they are none. */
export function readVersion(text: string): EntryVersion | undefined {
  return EntryVersion.read(text);
}
