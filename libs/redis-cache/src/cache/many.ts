import type { GivenVersion, SetAllReply, SetOutcome } from '../store/cache.store.js';
import type { EntryVersion } from '../version/entry-version.js';
import type { EntryOptions } from './entry-options.js';

/** A value to store; `undefined` stores a negative entry. */
export interface SetManyEntry<T, V extends GivenVersion = EntryVersion> extends EntryOptions {
  readonly key: string;
  readonly value: T | undefined;
  readonly version: V;
}

/** What became of entries that were to be stored together; `withheld`: it would have been stored, but another was not. */
export interface SetAllResult {
  readonly applied: boolean;
  readonly results: readonly { readonly key: string; readonly outcome: SetAllReply['outcome'] }[];
}

/** What became of one entry. `reason`: what `set` would have thrown for it. */
export type SetManyResult =
  | { readonly key: string; readonly status: 'fulfilled'; readonly outcome: SetOutcome }
  | { readonly key: string; readonly status: 'rejected'; readonly reason: unknown };

/** So many at once: one answer of the server stays of a size that stops nobody else. */
const CHUNK = 500;

/** Works off a list in bounded parts, one after the other. */
export async function inChunks<T>(all: readonly T[], work: (chunk: readonly T[]) => Promise<void>): Promise<void> {
  for (let start = 0; start < all.length; start += CHUNK) {
    // oxlint-disable-next-line no-await-in-loop -- one part after the other
    await work(all.slice(start, start + CHUNK));
  }
}

/** Sets each entry by itself: what becomes of one is in its result, and nothing of it is in the others'. */
export async function setEach<E extends { readonly key: string }>(
  entries: readonly E[],
  set: (entry: E) => Promise<SetOutcome>,
): Promise<readonly SetManyResult[]> {
  const results: SetManyResult[] = [];
  await inChunks(entries, async (chunk) => {
    const settled = await Promise.allSettled(chunk.map(set));
    settled.forEach((one, index) => {
      const key = chunk[index]?.key ?? '';
      results.push(
        one.status === 'fulfilled'
          ? { key, status: 'fulfilled', outcome: one.value }
          : { key, status: 'rejected', reason: one.reason },
      );
    });
  });
  return results;
}
