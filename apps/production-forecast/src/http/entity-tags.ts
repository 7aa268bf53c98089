/** One element of a list, with what separates it from the next; sticky, so that a malformed list ends the matching. A tag may contain commas. */
const ELEMENT = /[ \t,]*((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,[ \t,]*|$)/gy;

/** A condition header: any representation, or one of these tags as written (`W/"…"` or `"…"`). */
export type EntityTags = '*' | readonly string[];

/**
 * Reads an `If-Match` or `If-None-Match` header (RFC 9110, 8.8.3 and 13.1); empty elements of the list count for nothing (5.6.1.2).
 *
 * @returns `undefined` for a malformed one.
 */
export function parseEntityTags(header: string): EntityTags | undefined {
  const text = header.trim();
  if (text === '*') {
    return '*';
  }
  const elements = [...text.matchAll(ELEMENT)];
  const whole = elements.map(([element]) => element).join('') === text;
  return whole && elements.length > 0 ? elements.map(([, tag = '']) => tag) : undefined;
}

/** Strong comparison, for `If-Match`: a weak tag never matches. `*` matches when there is anything. */
export function matchesStrongly(tags: EntityTags, etag: string, exists: boolean): boolean {
  return tags === '*' ? exists : tags.includes(etag);
}

/** Weak comparison, for `If-None-Match`. */
export function matchesWeakly(tags: EntityTags, etag: string): boolean {
  return tags === '*' || tags.some((tag) => tag.replace(/^W\//, '') === etag);
}
