import { EntryVersion } from '../../version/entry-version.js';
import type { TagStamp } from './tag-stamp.js';

const MARK = '#';
const END = '\n';

/** What an entry of a tagged namespace is in the store: its tags on one line, then what the codec made; nothing after it is a negative entry. */
export function taggedPayload(tags: readonly TagStamp[], body: string | null): string {
  return `${MARK}${JSON.stringify(tags.map(({ tag, version }) => [tag, version.toString()]))}${END}${body ?? ''}`;
}

/**
 * Takes such a text apart.
 *
 * @throws TypeError when it is none.
 */
export function untagged(payload: string): { readonly tags: readonly TagStamp[]; readonly body: string | null } {
  const end = payload.indexOf(END);
  const line: unknown = payload.startsWith(MARK) && end > 0 ? JSON.parse(payload.slice(1, end)) : undefined;
  if (!Array.isArray(line)) {
    throw new TypeError('The text begins with no line of tags.');
  }
  const tags = line.map((one: unknown): TagStamp => {
    const [tag, digits]: readonly unknown[] = Array.isArray(one) ? one : [];
    const version = typeof digits === 'string' ? EntryVersion.read(digits) : undefined;
    if (typeof tag !== 'string' || version === undefined) {
      throw new TypeError('A tag has no version.');
    }
    return { tag, version };
  });
  const body = payload.slice(end + 1);
  return { tags, body: body === '' ? null : body };
}
