import { CacheClosedError } from '../redis-cache.errors.js';
import type { SweepRequest } from '../store/cache.store.js';
import { EntryVersion } from '../version/entry-version.js';
import type { CacheParts } from './cache.parts.js';
import { countSent } from './cache.stats.js';

/** Keys that the store looks at in one call. */
const STEP_KEYS = 512;

/**
 * Sweeps a namespace, step by step. Who asks while a sweep runs gets the next one, shared by all who wait for it: the one that runs may have
 * passed their keys already.
 */
export class NamespaceSweep<T> {
  #running: Promise<number> | undefined;
  #next: { readonly done: Promise<number>; version: EntryVersion } | undefined;

  constructor(private readonly parts: CacheParts<T>) {}

  /** Answers how many entries and leases were removed. */
  run(version: EntryVersion): Promise<number> {
    if (this.#running === undefined) {
      return this.#begin(version);
    }
    if (this.#next === undefined) {
      const begin = (): Promise<number> => this.#beginNext();
      // The one that runs may fail; its own caller is told.
      this.#next = { done: this.#running.then(begin, begin), version };
    } else {
      this.#next.version = EntryVersion.max(this.#next.version, version);
    }
    return this.#next.done;
  }

  #beginNext(): Promise<number> {
    const version = this.#next?.version ?? EntryVersion.ZERO;
    this.#next = undefined;
    return this.#begin(version);
  }

  #begin(version: EntryVersion): Promise<number> {
    const running = this.#sweep(version).finally(() => {
      if (this.#running === running) {
        this.#running = undefined;
      }
    });
    this.#running = running;
    return running;
  }

  async #sweep(version: EntryVersion): Promise<number> {
    const { store, origin, names, namespace, view, waiters, stats, closing } = this.parts;
    const { tombstoneTtlMs } = namespace;
    const request: SweepRequest = { ...origin, keys: names.keys, version, limit: STEP_KEYS, tombstoneTtlMs };
    let removed = 0;
    let cursor: string | undefined;
    countSent(stats, 'sweep');
    do {
      if (closing.aborted) {
        throw new CacheClosedError(namespace.name);
      }
      const reply = await store.sweep(request, cursor);
      removed += reply.swept;
      stats.swept += reply.swept;
      cursor = reply.cursor ?? undefined;
    } while (cursor !== undefined);
    // The own message may come later: nothing from before may be shown from here on, nor fill.
    view.flush('sweep');
    waiters.wakeAll();
    return removed;
  }
}
