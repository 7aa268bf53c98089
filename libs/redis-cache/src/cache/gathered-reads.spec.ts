import { VirtualClock } from '@smartpulse/resilience/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedCacheServer } from '../embedded/embedded-cache.server.js';
import { MemoryCacheStore } from '../embedded/memory.store.js';
import type { StoredEntry } from '../store/cache.store.js';
import { EntryVersion } from '../version/entry-version.js';
import { GatheredReads } from './gathered-reads.js';

/** Notes what it is asked, one list for each question. */
class NotingStore extends MemoryCacheStore {
  readonly questions: (readonly string[])[] = [];
  together = true;
  failure: Error | undefined;

  override get readsTogether(): boolean {
    return this.together;
  }

  override async get(key: string): Promise<StoredEntry | undefined> {
    this.#note([key]);
    return super.get(key);
  }

  override async getMany(keys: readonly string[]): Promise<readonly (StoredEntry | undefined)[]> {
    this.#note(keys);
    return super.getMany(keys);
  }

  #note(keys: readonly string[]): void {
    this.questions.push(keys);
    if (this.failure !== undefined) {
      throw this.failure;
    }
  }
}

describe('reads that are asked for in one turn', () => {
  let store: NotingStore;
  let reads: GatheredReads;

  beforeEach(async () => {
    store = new NotingStore(new EmbeddedCacheServer({ clock: new VirtualClock() }));
    reads = new GatheredReads(store);
    for (const key of ['a', 'b']) {
      const version = new EntryVersion(1n, 1n);
      await store.set({ channel: 'c', source: 's', synced: false, key, version, payload: `"${key}"`, ttlMs: 1_000 });
    }
  });

  it('are one question, and each gets its own answer', async () => {
    const answers = await Promise.all(['a', 'missing', 'b', 'a'].map((key) => reads.get(key)));
    expect(answers.map((entry) => entry?.kind === 'value' && entry.payload)).toEqual(['"a"', false, '"b"', '"a"']);
    expect(store.questions).toEqual([['a', 'missing', 'b', 'a']]);
  });

  it('are not joined by those of the next one, nor held for them', async () => {
    expect(await reads.get('a')).toMatchObject({ payload: '"a"' });
    expect(await reads.get('b')).toMatchObject({ payload: '"b"' });
    expect(store.questions).toEqual([['a'], ['b']]);
  });

  it('leave at once when they are many, and the rest at the end of the turn', async () => {
    await Promise.all(Array.from({ length: 300 }, (_, index) => reads.get(`k${index}`)));
    expect(store.questions.map(({ length }) => length)).toEqual([128, 128, 44]);
  });

  it('fail together with their question, and leave the next one alone', async () => {
    store.failure = new Error('No answer.');
    const failed = await Promise.allSettled([reads.get('a'), reads.get('b')]);
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    store.failure = undefined;
    expect(await reads.get('a')).toMatchObject({ payload: '"a"' });
  });

  it('are asked one by one where the servers of a store answer and fail each by itself', async () => {
    store.together = false;
    await Promise.all([reads.get('a'), reads.get('b')]);
    expect(store.questions).toEqual([['a'], ['b']]);
  });
});
