import { ConfigurationError } from '@smartpulse/resilience';
import { CacheClosedError, CacheValueNotEncodableError, InvalidCacheKeyError } from '../redis-cache.errors.js';
import type { GivenVersion } from '../store/cache.store.js';
import type { CacheHit, Loader } from './cache-hit.js';
import type { CacheParts } from './cache.parts.js';
import type { EntryOptions } from './entry-options.js';
import { refreshLeadMs } from './filling.js';
import type { FirstLevelEntry } from './first-level.js';
import { LoadRun } from './load-run.js';
import type { Flight, SharedLoad } from './local-view.js';

/** The loads of a cache that are under way: those that callers wait for, and those that nobody does. */
export class KeyLoads<T> {
  readonly #running = new Set<{ answer: Promise<unknown> | undefined }>();
  readonly #refreshing = new Set<string>();

  constructor(private readonly parts: CacheParts<T>) {}

  /** Begins a load that later callers of the key may join, and answers what it brings, or the last known value instead. */
  begin(key: string, loader: Loader<T, GivenVersion>, options: EntryOptions): Promise<CacheHit<T>> {
    const { view } = this.parts;
    const load = newLoad<T>(view.begin(key));
    const run = new LoadRun(this.parts, load, loader, options);
    const end = (): void => {
      view.unshare(load);
      view.end(load.flight);
      this.#running.delete(load);
      // A table that a map or set has grown out of keeps what it held until the next full collection: the answer is not to be part of that.
      load.answer = undefined;
      load.meanwhile = undefined;
    };
    // One promise for both ends: it is on the way of every hit of the second level.
    const loaded = run.run().then(
      (hit) => {
        end();
        return hit;
      },
      (error: unknown) => {
        try {
          return this.#lastKnown(key, error, run);
        } finally {
          end();
        }
      },
    );
    const answer = this.parts.namespace.staleAfterMs === 0 ? loaded : this.#patient(load, loaded, run);
    // Nobody joins before this line: a load runs on synchronously until its first question to the store.
    load.answer = answer;
    view.share(load);
    this.#running.add(load);
    return answer;
  }

  /**
   * The answer for who comes while a load of the key runs; nothing: there is none to join. Whoever comes after others have waited for long enough gets what is kept now, and
   * not what they got: it may have been removed since.
   */
  join(key: string): Promise<CacheHit<T>> | undefined {
    const load = this.parts.view.shared(key);
    const kept = load?.meanwhile?.();
    return kept === undefined ? load?.answer : Promise.resolve(kept);
  }

  /** A reader met this entry: loads it anew in the background if its life is about to end. Whoever fails leaves the value as it is. */
  refreshEarly(key: string, entry: FirstLevelEntry<T>, loader: Loader<T, GivenVersion>, options: EntryOptions): void {
    const { view, clock } = this.parts;
    if (entry.refreshAtMs === undefined || entry.refreshAtMs > clock.monotonic() || this.#refreshing.has(key)) {
      return;
    }
    const load = newLoad<T>(view.begin(key));
    this.#refreshing.add(key);
    // The store grants it by its own clock, and only where nobody has loaded the value meanwhile.
    const running: { answer: Promise<unknown> | undefined } = { answer: undefined };
    running.answer = new LoadRun(this.parts, load, loader, options)
      .refresh(Math.max(1, entry.expiresAtMs - clock.monotonic(), refreshLeadMs(this.parts)))
      .catch((error: unknown) => this.parts.onRefreshFailed(error))
      .finally(() => {
        // Whoever tried in vain does not try again before it reads the entry anew.
        entry.refreshAtMs = undefined;
        view.end(load.flight);
        this.#refreshing.delete(key);
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  /** Resolves when none is under way. */
  async settled(): Promise<void> {
    await Promise.allSettled(Array.from(this.#running, async ({ answer }) => answer));
  }

  /** Waits for the load, but where a value is kept for no longer than the namespace says. */
  async #patient(load: SharedLoad<T>, loaded: Promise<CacheHit<T>>, run: LoadRun<T>): Promise<CacheHit<T>> {
    const { namespace, clock } = this.parts;
    const { key } = load.flight;
    const impatient = new Promise<CacheHit<T> | undefined>((resolve) => {
      const timer = clock.setTimer(namespace.staleAfterMs, () => {
        load.answer = loaded;
        load.meanwhile = () => this.#known(key, run);
        resolve(load.meanwhile());
      });
      const stop = (): void => timer.cancel();
      loaded.then(stop, stop);
    });
    return (await Promise.race([loaded, impatient])) ?? (await loaded);
  }

  /** Fail-safe: the value that was there until lately, where the source cannot be asked. @throws the failure when there is none. */
  #lastKnown(key: string, failure: unknown, run: LoadRun<T>): CacheHit<T> {
    const known = isMistake(failure) ? undefined : this.#known(key, run);
    if (known === undefined) {
      throw failure;
    }
    this.parts.stats.failSafes++;
    return { ...known, failure };
  }

  /** The newer of what the two levels keep beyond its life. */
  #known(key: string, { kept }: LoadRun<T>): CacheHit<T> | undefined {
    const { view, clock, namespace, tags } = this.parts;
    if (namespace.failSafeMs === 0) {
      return undefined;
    }
    const entry = view.lastKnown(key, clock.monotonic());
    if (entry === undefined || (entry.tags !== undefined && tags.holds(entry.tags) !== true)) {
      return kept;
    }
    if (kept !== undefined && kept.version.compare(entry.version) > 0) {
      return kept;
    }
    return { value: entry.value, version: entry.version, level: 'l1', stale: true };
  }
}

function newLoad<T>(flight: Flight): SharedLoad<T> {
  return { flight, stamp: undefined, answer: undefined, meanwhile: undefined };
}

/** What no old value helps against: the cache is closed, or its caller did something wrong. */
function isMistake(error: unknown): boolean {
  return (
    CacheClosedError.is(error) ||
    CacheValueNotEncodableError.is(error) ||
    InvalidCacheKeyError.is(error) ||
    error instanceof ConfigurationError
  );
}
