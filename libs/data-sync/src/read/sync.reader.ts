import type { StampedReader } from '@smartpulse/cdc';
import type { EntryVersion } from '@smartpulse/redis-cache';
import { toEntryVersion } from './entry-version.mapping.js';

/** What a loader of a synced cache answers: a value and the stamp that was read before it. Fits `VersionedCache.getOrLoad`. */
export interface SyncRead<T> {
  /** `undefined` = there is no such thing: the cache keeps that as a negative entry. */
  readonly value: T;
  readonly version: EntryVersion;
}

/**
 * Reads data for a synced cache: stamp first, data second, from one snapshot where the source can. The one place of the house that does
 * it; a loader that reads the stamp after its data would claim commits that it has not seen.
 *
 * @example
 * ```ts
 * const hit = await cache.getOrLoad(key, () =>
 *   reader.read((manager: EntityManager) => manager.findBy(Forecast, { unitNo })),
 * );
 * ```
 */
export class SyncReader {
  readonly #reader: StampedReader;

  constructor(reader: StampedReader) {
    this.#reader = reader;
  }

  /** `snapshot`: stamp and data come from one snapshot. `statement`: the stamp is older or equal, and the shapes `row` and `fields` only invalidate. */
  get isolation(): 'snapshot' | 'statement' {
    return this.#reader.isolation;
  }

  /**
   * Runs `work` after the stamp was read and answers both.
   *
   * @typeParam TManager what the configured `StampedReader` reads with: TypeORM's `EntityManager` for the adapters of cdc.
   * @throws what `work` or the database throws; nothing is cached then.
   */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller's work says what it reads with
  async read<T, TManager>(work: (manager: TManager) => Promise<T>): Promise<SyncRead<T>> {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- which manager it is was decided where the reader was configured
    const reader = this.#reader as StampedReader<TManager>;
    const { stamp, value } = await reader.read(work);
    return { value, version: toEntryVersion(stamp) };
  }
}
