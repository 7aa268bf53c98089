import { ConfigurationError } from '@smartpulse/resilience';
import type { CacheHit } from '../cache/cache-hit.js';
import { jitteredTtlMs } from '../cache/cache.parts.js';
import { countSent } from '../cache/cache.stats.js';
import { FREEZES } from '../cache/deep-freeze.js';
import { EntryCodec } from '../cache/entry.codec.js';
import { checkLives, type EntryLives } from '../cache/entry-lives.js';
import { VersionedCache } from '../cache/versioned-cache.js';
import type { VersionedCacheParts } from '../cache/versioned-cache.parts.js';
import { checkCacheKey } from '../namespace/cache-key.js';
import { type FieldsNamespace } from '../namespace/define-fields-cache.js';
import { checkFieldName } from '../namespace/field-name.js';
import { NamespaceNames } from '../namespace/names.js';
import { CacheClosedError, CacheTooManyFieldsError, InvalidEntryVersionError } from '../redis-cache.errors.js';
import type { ChangeOutcome } from '../store/cache.store.js';
import type { FieldsStore, FieldWrite, SetFieldsReply, StoredFields } from '../store/fields.store.js';
import { EntryVersion } from '../version/entry-version.js';
import type {
  CacheField,
  CacheFields,
  FieldChange,
  FieldOutcome,
  FieldsHit,
  FieldsLoader,
  SetFieldsOptions,
  SetFieldsResult,
} from './cache-fields.js';
import { fieldsOf, hashCodec, stamped } from './hash.codec.js';

/** What a {@link VersionedFieldsCache} is made of: as a `VersionedCache`, over a store of hashes. */
export interface VersionedFieldsCacheParts<T> extends Omit<
  VersionedCacheParts<CacheFields<T>>,
  'namespace' | 'store' | 'names'
> {
  readonly namespace: FieldsNamespace<T>;
  readonly store: FieldsStore;
}

/**
 * Two levels of hashes, in which every field has a version of its own and **an older version never replaces a newer one**, field by field. The whole hash is loaded, kept in
 * the first level and invalidated as one value; a change of a field costs one small request, whatever the size of the hash.
 *
 * In a synced namespace only a loader creates a hash, so it always has all its fields. Elsewhere `setFields` creates, and nothing says that a hash is complete: there it
 * is read, never loaded.
 *
 * @example
 * ```ts
 * const { value: hours } = await cache.getOrLoad(day, async () => {
 *   const { value, version } = await reader.read((manager) => manager.findBy(Forecast, { day }));
 *   return { value: Object.fromEntries(value.map((row) => [row.hour, row])), version };
 * });
 * hours?.['07']?.version;
 * await cache.setFields(day, { '07': { value: row, version } }); // one hour changed
 * ```
 */
export class VersionedFieldsCache<T> {
  readonly #whole: WholeHashes<T>;
  readonly #store: FieldsStore;
  readonly #namespace: FieldsNamespace<T>;
  readonly #fieldCodec: EntryCodec<T>;

  constructor(options: VersionedFieldsCacheParts<T>) {
    const { namespace, store } = options;
    this.#namespace = namespace;
    this.#store = store;
    this.#fieldCodec = new EntryCodec(namespace, options.freeze ?? FREEZES);
    this.#whole = new WholeHashes({
      ...options,
      namespace: { ...namespace, codec: hashCodec(namespace) },
      store: store.hashes,
      names: new NamespaceNames(options.prefix, namespace.name, 'f'),
      keepsOld: false,
    });
  }

  /** The namespace's name. */
  get name(): string {
    return this.#namespace.name;
  }

  /** The namespace with its defaults filled in. */
  get namespace(): FieldsNamespace<T> {
    return this.#namespace;
  }

  /** The same hashes as values: what connects to the backplane, counts, learns stamps, and closes. */
  get whole(): VersionedCache<CacheFields<T>> {
    return this.#whole;
  }

  /** The hash in the first level, without a promise; `undefined` also for a negative entry and while it may not be shown. */
  peek(key: string): CacheFields<T> | undefined {
    return this.#whole.peek(key);
  }

  /** All fields of what the cache holds; `undefined` = nothing. It never loads. @throws as `VersionedCache.get`. */
  get(key: string): Promise<CacheHit<CacheFields<T>> | undefined> {
    return this.#whole.get(key);
  }

  /**
   * Some fields of what the cache holds, all from one moment; `undefined` = nothing. It never loads, and reads from the second level only what is asked for.
   *
   * @throws {@link InvalidCacheKeyError} also for a name; {@link CacheStoreUnavailableError} when the store fails.
   */
  async getFields(key: string, names: readonly string[]): Promise<FieldsHit<T> | undefined> {
    const { shared } = this.#whole;
    const hit = this.#whole.local(key);
    if (hit !== undefined) {
      return this.#hit(pick(hit.value, names), hit.version, 'l1', hit.stale);
    }
    this.#check(key, names);
    const { view, store, stats } = shared;
    const flight = view.begin(key);
    try {
      const found = await store.bounded('getFields', () => this.#store.getFields(shared.names.stored(key), names));
      if (found !== undefined) {
        // What the replica is about to show acts like a message, too; some fields fill no first level.
        const shows = found.kind === 'fields' || found.kind === 'negative';
        view.learn(key, found.kind === 'lease' ? found.floor : found.version, shows ? flight : undefined);
      }
      const fields = this.#decode(names, found);
      if (fields === undefined || found === undefined || found.kind === 'lease') {
        stats.misses++;
        return undefined;
      }
      stats.l2Hits++;
      return this.#hit(fields, found.version, 'l2', false);
    } finally {
      view.end(flight);
    }
  }

  /**
   * The hash, from the nearest level, loaded if need be: one loader runs per process and per lease. Only in a synced namespace.
   *
   * @throws as `VersionedCache.getOrLoad`; ConfigurationError where no sync feeds the namespace; {@link InvalidEntryVersionError} when the loader's version has a minor part.
   */
  async getOrLoad(key: string, loader: FieldsLoader<T>, lives: EntryLives = {}): Promise<CacheHit<CacheFields<T>>> {
    if (!this.#namespace.synced) {
      throw new ConfigurationError('VersionedFieldsCache.getOrLoad', [
        {
          option: 'synced',
          problem: `the cache "${this.name}" is not synced: its hashes are made by setFields, and none is known to be complete`,
        },
      ]);
    }
    return await this.#whole.getOrLoad(
      key,
      async (context) => {
        const loaded = await loader(context);
        checkBase(loaded.version);
        const value = loaded.value && stamped(loaded.value, loaded.version);
        return { ...loaded, value };
      },
      lives,
    );
  }

  /**
   * Writes fields, each unless the cache knows the same or a newer one of it, in one step. In a synced namespace it changes a hash that is there, and creates none.
   *
   * @throws {@link InvalidCacheKeyError} also for a name, ConfigurationError (lives), {@link CacheTooManyFieldsError}, {@link CachePayloadTooLargeError},
   * {@link CacheValueNotEncodableError}: nothing was written; {@link CacheStoreUnavailableError} when the store fails (it may have written).
   */
  async setFields(
    key: string,
    fields: Readonly<Record<string, FieldChange<T>>>,
    options: SetFieldsOptions = {},
  ): Promise<SetFieldsResult> {
    const names = Object.keys(fields);
    this.#check(key, names);
    const writes = Object.entries(fields).map(([name, change]) => this.#write(name, change));
    if (names.length === 0) {
      return { outcome: 'unchanged', fields: {} };
    }
    checkLives('VersionedFieldsCache.setFields', options);
    const { view, store, origin, stats, random, names: stored } = this.#whole.shared;
    const { maxFields, tombstoneTtlMs, l2TtlMs } = this.#namespace;
    countSent(stats, 'fields');
    const reply = await store.bounded('setFields', () =>
      this.#store.setFields({
        ...origin,
        key: stored.stored(key),
        fields: writes,
        atomic: options.atomic ?? false,
        maxFields,
        ttlMs: jitteredTtlMs(options.l2TtlMs ?? l2TtlMs, random),
        tombstoneTtlMs,
      }),
    );
    // Only the reply tells the stamp of the whole: the version of a field orders nothing but that field.
    if (reply.outcome === 'created') {
      view.evict(key);
    } else if (reply.version !== undefined) {
      view.learn(key, reply.version);
    }
    return this.#result(names, reply);
  }

  /** Deletes fields at a version; as {@link setFields} without values. */
  async deleteFields(
    key: string,
    names: readonly string[],
    version: EntryVersion,
    options: SetFieldsOptions = {},
  ): Promise<SetFieldsResult> {
    return await this.setFields(key, fieldsOf(names.map((name) => [name, { value: undefined, version }])), options);
  }

  /**
   * A change made everything below `version` old, and it is not known what: a hash with an older base goes, and is loaded anew. Where no sync feeds the namespace, fields above
   * the version stay.
   *
   * @throws as `VersionedCache.invalidate`; {@link InvalidEntryVersionError} when the version has a minor part.
   */
  async invalidate(key: string, version: EntryVersion): Promise<ChangeOutcome> {
    checkBase(version);
    return await this.#whole.invalidate(key, version);
  }

  /** For what has no readable stamp: the hash becomes absent everywhere. @throws as `VersionedCache.evict`. */
  async evict(key: string): Promise<void> {
    await this.#whole.evict(key);
  }

  #check(key: string, names: readonly string[]): void {
    const { closing } = this.#whole.shared;
    if (closing.aborted) {
      throw new CacheClosedError(this.name);
    }
    checkCacheKey(key);
    names.forEach(checkFieldName);
    if (names.length > this.#namespace.maxFields) {
      throw new CacheTooManyFieldsError(this.name, this.#namespace.maxFields);
    }
  }

  #write(name: string, { value, version, ttlMs = this.#namespace.fieldTtlMs }: FieldChange<T>): FieldWrite {
    if (ttlMs !== undefined) {
      checkLives('VersionedFieldsCache.setFields', { l2TtlMs: ttlMs });
      if (this.#namespace.synced) {
        throw new ConfigurationError('VersionedFieldsCache.setFields', [
          { option: 'ttlMs', problem: `the cache "${this.name}" is synced: a field that ended would be missing` },
        ]);
      }
    }
    return { name, version, payload: this.#fieldCodec.encode(value).payload, ttlMs };
  }

  /** `undefined`: there is nothing to show, or a field that cannot be read. */
  #decode(names: readonly string[], found: StoredFields | undefined): CacheFields<T> | undefined {
    if (found?.kind === 'negative') {
      return fieldsOf([]);
    }
    if (found?.kind !== 'fields') {
      return undefined;
    }
    const fields: [string, CacheField<T>][] = [];
    for (const [index, field] of found.fields.entries()) {
      const decoded = field && this.#fieldCodec.decode({ kind: 'value', ttlMs: 0, ...field });
      if (decoded === false) {
        this.#whole.shared.stats.undecodable++;
        return undefined;
      }
      if (field !== undefined && decoded?.value !== undefined) {
        fields.push([names[index] ?? '', { value: decoded.value, version: field.version }]);
      }
    }
    return fieldsOf(fields);
  }

  #hit(fields: CacheFields<T>, version: EntryVersion, level: 'l1' | 'l2', stale: boolean): FieldsHit<T> {
    const versions = Object.values(fields).map((field) => field.version);
    const [first] = versions;
    const min = first && versions.reduce((least, one) => (one.compare(least) < 0 ? one : least), first);
    const max = first && versions.reduce((most, one) => EntryVersion.max(most, one), first);
    return { fields, version, min, max, level, stale };
  }

  #result(names: readonly string[], { outcome, fields }: SetFieldsReply): SetFieldsResult {
    const { stats } = this.#whole.shared;
    if (outcome === 'full') {
      stats.oversized++;
      throw new CacheTooManyFieldsError(this.name, this.#namespace.maxFields);
    }
    const of = (index: number): FieldOutcome =>
      outcome === 'absent' || outcome === 'deferred' ? outcome : (fields[index] ?? 'stale');
    return {
      outcome: outcome === 'created' ? 'applied' : outcome,
      fields: fieldsOf(names.map((name, index) => [name, of(index)])),
    };
  }
}

/** The cache of the hashes as values, whose parts the cache of fields shares. */
class WholeHashes<T> extends VersionedCache<CacheFields<T>> {
  get shared(): typeof this.parts {
    return this.parts;
  }

  local(key: string): CacheHit<CacheFields<T>> | undefined {
    return this.hitFirstLevel(key);
  }
}

function pick<T>(fields: CacheFields<T> | undefined, names: readonly string[]): CacheFields<T> {
  return fieldsOf(
    names.flatMap((name): [string, CacheField<T>][] => {
      const field = fields?.[name];
      return field === undefined ? [] : [[name, field]];
    }),
  );
}

/** The minor part of a hash's stamp counts its steps. */
function checkBase(version: EntryVersion): void {
  if (version.minor !== 0n) {
    throw new InvalidEntryVersionError(`${version.epoch}.${version.version}.${version.minor}`);
  }
}
