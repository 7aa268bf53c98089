import type { SetOutcome } from '../store/cache.store.js';
import type { EntryVersion } from '../version/entry-version.js';
import type { EntryLives } from './entry-lives.js';

/** A value to store; `undefined` stores a negative entry. */
export interface SetManyEntry<T> extends EntryLives {
  readonly key: string;
  readonly value: T | undefined;
  readonly version: EntryVersion;
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
