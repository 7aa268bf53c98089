const ENTITY_TAG = /^(W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/;

/** A condition header: any representation, or one of these tags as written (`W/"…"` or `"…"`). */
export type EntityTags = '*' | readonly string[];

/**
 * Reads an `If-Match` or `If-None-Match` header (RFC 9110, 13.1).
 *
 * @returns `undefined` for a malformed one.
 */
export function parseEntityTags(header: string): EntityTags | undefined {
  const text = header.trim();
  if (text === '*') {
    return '*';
  }
  const tags = text.split(',').map((tag) => tag.trim());
  return tags.every((tag) => ENTITY_TAG.test(tag)) ? tags : undefined;
}

/** Strong comparison, for `If-Match`: a weak tag never matches. `*` matches when there is anything. */
export function matchesStrongly(tags: EntityTags, etag: string, exists: boolean): boolean {
  return tags === '*' ? exists : tags.includes(etag);
}

/** Weak comparison, for `If-None-Match`. */
export function matchesWeakly(tags: EntityTags, etag: string): boolean {
  return tags === '*' || tags.some((tag) => tag.replace(/^W\//, '') === etag);
}
