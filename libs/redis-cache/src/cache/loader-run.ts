import { CacheClosedError, CacheLoadTimeoutError } from '../redis-cache.errors.js';
import type { EntryVersion } from '../version/entry-version.js';
import type { GivenVersion } from '../store/cache.store.js';
import type { LoadContext, Loaded, Loader } from './cache-hit.js';
import type { CacheParts } from './cache.parts.js';

/**
 * Runs a loader within its time.
 *
 * @throws what the loader throws, {@link CacheLoadTimeoutError} after `loadTimeoutMs`, {@link CacheClosedError} when the cache closes.
 */
export async function runLoader<T>(
  parts: CacheParts<T>,
  loader: Loader<T, GivenVersion>,
  floor: EntryVersion,
  tag: LoadContext['tag'],
): Promise<Loaded<T, GivenVersion>> {
  const { namespace, clock, stats, closing } = parts;
  const abort = new AbortController();
  const startedMs = clock.monotonic();
  stats.loads++;
  try {
    const loaded = await new Promise<Loaded<T, GivenVersion>>((resolve, reject) => {
      const fail = (error: unknown): void => {
        settle();
        abort.abort(error);
        reject(error);
      };
      const timer = clock.setTimer(namespace.loadTimeoutMs, () =>
        fail(new CacheLoadTimeoutError(namespace.name, namespace.loadTimeoutMs)),
      );
      const onClosing = (): void => fail(new CacheClosedError(namespace.name));
      const settle = (): void => {
        timer.cancel();
        closing.removeEventListener('abort', onClosing);
      };
      closing.addEventListener('abort', onClosing, { once: true });
      if (closing.aborted) {
        onClosing();
        return;
      }
      try {
        loader({ signal: abort.signal, floor, tag }).then((loaded) => {
          settle();
          resolve(loaded);
        }, fail);
      } catch (error) {
        // A loader that is no async function may throw before it answers a promise.
        fail(error);
      }
    });
    stats.loaded++;
    parts.timing.note(clock.monotonic() - startedMs);
    return loaded;
  } catch (error) {
    stats.loadFailures++;
    throw error;
  } finally {
    parts.onLoaded(clock.monotonic() - startedMs);
  }
}
