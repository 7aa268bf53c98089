import { InvalidCacheKeyError } from '../redis-cache.errors.js';

const MAX_KEY_BYTES = 512;
const LONE_SURROGATE = /\p{Surrogate}/u;
// Braces would move a key to another cluster slot, a star makes a pattern of it, white space and control characters break protocols and logs.
const REFUSED = /[{}*\s\p{Cc}]/u;
/** Printable ASCII without those: nearly every key, seen in one pass. */
const PLAIN = /^[!-)+-z|~]+$/;
const ESCAPED = /[{}*\s\p{Cc}:%]/gu;

/**
 * Checks a key, group, tag, prefix or name: not empty, at most 512 bytes of UTF-8, no control characters, no lone surrogates, none of `{ } *` and no white
 * space. Prefixes and names have no `:` either, which separates them in the store.
 *
 * @throws {@link InvalidCacheKeyError} that says what was found, without repeating it.
 */
export function checkCacheKey(
  text: unknown,
  part: 'key' | 'prefix' | 'name' | 'group' | 'tag' = 'key',
): asserts text is string {
  const problem = part === 'prefix' || part === 'name' ? nameProblemOf(text) : problemOf(text);
  if (problem !== undefined) {
    throw new InvalidCacheKeyError(part, problem);
  }
}

/**
 * Joins segments to a key with `:`; in each segment `: % { } *`, white space and control characters are percent-encoded, so that two different
 * lists never make the same key.
 *
 * @throws {@link InvalidCacheKeyError} when a segment is empty or the key is too long.
 * @example
 * ```ts
 * cacheKey('epias', 'PP', 'a:b c'); // 'epias:PP:a%3Ab%20c'
 * ```
 */
export function cacheKey(...segments: readonly [string, ...string[]]): string {
  if (segments.some((segment) => segment === '')) {
    throw new InvalidCacheKeyError('key', 'has an empty segment');
  }
  if (segments.some((segment) => LONE_SURROGATE.test(segment))) {
    throw new InvalidCacheKeyError('key', 'contains a lone surrogate');
  }
  const key = segments.map((segment) => segment.replace(ESCAPED, encode)).join(':');
  checkCacheKey(key);
  return key;
}

/** What is wrong with `text`, or nothing. */
export function problemOf(text: unknown): string | undefined {
  if (typeof text !== 'string') {
    return `is of type ${text === null ? 'null' : typeof text}, expected text`;
  }
  if (text === '') {
    return 'is empty';
  }
  // Below a third of the limit no text can exceed it: UTF-8 takes at most three bytes per UTF-16 unit.
  if (text.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(text) > MAX_KEY_BYTES) {
    return `has ${Buffer.byteLength(text)} bytes, at most ${MAX_KEY_BYTES} are allowed`;
  }
  if (PLAIN.test(text)) {
    return undefined;
  }
  if (LONE_SURROGATE.test(text)) {
    return 'contains a lone surrogate';
  }
  const found = REFUSED.exec(text);
  return found === null ? undefined : `contains a refused character at position ${found.index}`;
}

/** What is wrong with `text` as a prefix or name, or nothing: with `:` in them, two namespaces could share keys. */
export function nameProblemOf(text: unknown): string | undefined {
  const colon = typeof text === 'string' ? text.indexOf(':') : -1;
  return problemOf(text) ?? (colon < 0 ? undefined : `contains a refused character at position ${colon}`);
}

function encode(character: string): string {
  return character === '*' ? '%2A' : encodeURIComponent(character);
}
