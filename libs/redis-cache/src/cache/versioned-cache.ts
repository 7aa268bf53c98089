import { ConfigurationError } from '@smartpulse/resilience';
import type {
  InvalidationBus,
  InvalidationMessage,
  InvalidationSubscription,
} from '../invalidation/invalidation.bus.js';
import { checkCacheKey } from '../namespace/cache-key.js';
import type { CacheNamespace } from '../namespace/define-cache.js';
import { NamespaceNames } from '../namespace/names.js';
import { CacheClosedError, CrossSlotError } from '../redis-cache.errors.js';
import type { ChangeOutcome, GivenVersion, SetOutcome, StoreOrigin } from '../store/cache.store.js';
import { TimedCacheStore } from '../store/timed.store.js';
import type { EntryVersion } from '../version/entry-version.js';
import type { CacheHit, Loader } from './cache-hit.js';
import type { CacheParts } from './cache.parts.js';
import { type CacheStats, copiedStats, countHeard, emptyStats } from './cache.stats.js';
import { FREEZES } from './deep-freeze.js';
import { EntryCodec } from './entry.codec.js';
import { checkEntryOptions, checkTags, type EntryOptions } from './entry-options.js';
import { storedLives, storeWrite } from './filling.js';
import type { FirstLevelEntry } from './first-level.js';
import { GatheredReads } from './gathered-reads.js';
import { KeyLoads } from './key-loads.js';
import { KeyWaiters } from './key-waiters.js';
import { LoadTiming } from './load-timing.js';
import { LocalView } from './local-view.js';
import { inChunks, setEach, type SetAllResult, type SetManyEntry, type SetManyResult } from './many.js';
import { NamespaceSweep } from './namespace-sweep.js';
import { OutageGate } from './outage-gate.js';
import { StoreAccess } from './store-access.js';
import type { VersionedCacheParts } from './versioned-cache.parts.js';
import { TagBook, WHOLE_NAMESPACE } from './tags/tag-book.js';

/** A tag that nobody asks for is kept so long at least, milliseconds. */
const MIN_TAG_LIFE_MS = 3_600_000;
/** Entries that are set in one step: it stops the server for everybody else. */
const MAX_AT_ONCE = 500;
const AS_NAMESPACE: EntryOptions = Object.freeze({});

/**
 * Two levels under one rule: **an older version never replaces a newer one**, in whatever order messages, replies and retries arrive. While the
 * replica is trusted, a reader never sees a key go back (answers with `stale: true` stand outside this promise).
 *
 * @example
 * ```ts
 * const hit = await cache.getOrLoad(`${provider}/${unit}`, async () => {
 *   const { value, version } = await reader.read((manager) => manager.findOneBy(Forecast, { provider, unit }));
 *   return { value: value ?? undefined, version }; // the stamp was read before the data
 * });
 * hit.value; // undefined: the source has no such row
 * ```
 */
export class VersionedCache<T, V extends GivenVersion = EntryVersion> {
  readonly #parts: CacheParts<T>;
  readonly #access: StoreAccess<T>;
  readonly #sweep: NamespaceSweep<T>;
  readonly #closing = new AbortController();
  readonly #subscriptions = new Set<InvalidationSubscription>();
  readonly #loads: KeyLoads<T>;

  constructor(options: VersionedCacheParts<T>) {
    const { namespace, clock } = options;
    const { synced, populate } = namespace;
    const names = options.names ?? new NamespaceNames(options.prefix, namespace.name, 'v', namespace.groupOf);
    const origin: StoreOrigin = { channel: names.channel, source: options.nodeId, synced, populate };
    const store = new TimedCacheStore(options.store, namespace.storeTimeoutMs, clock, options.breaker);
    const view = options.view ?? new LocalView<T>(namespace);
    this.#parts = {
      namespace,
      names,
      origin,
      store,
      reads: new GatheredReads(store),
      view,
      codec: new EntryCodec(namespace, options.freeze ?? FREEZES),
      waiters: new KeyWaiters(clock),
      gate: new OutageGate({
        namespace: namespace.name,
        outageConcurrency: namespace.outageConcurrency,
        outageQueue: namespace.outageQueue,
      }),
      stats: emptyStats(),
      clock,
      random: options.random,
      closing: this.#closing.signal,
      tags: new TagBook({
        store,
        names,
        clock,
        lifeMs: Math.max(MIN_TAG_LIFE_MS, 2 * (namespace.l2TtlMs + namespace.failSafeMs)),
        trusted: () => view.untrustedSinceMs === undefined,
      }),
      timing: new LoadTiming(),
      keepsOld: options.keepsOld ?? true,
      onLoaded: options.onLoaded ?? ((): void => {}),
      onStored: options.onStored ?? ((): void => {}),
      onRefreshFailed: options.onRefreshFailed ?? ((): void => {}),
    };
    this.#loads = new KeyLoads(this.#parts);
    this.#access = new StoreAccess(this.#parts);
    this.#sweep = new NamespaceSweep(this.#parts);
  }

  /** The namespace's name. */
  get name(): string {
    return this.#parts.namespace.name;
  }

  /** The namespace with its defaults filled in. */
  get namespace(): CacheNamespace<T> {
    return this.#parts.namespace;
  }

  /** For caches that are built on this one. */
  protected get parts(): CacheParts<T> {
    return this.#parts;
  }

  /** `false` while messages may have been lost: the first level is bypassed, or serves answers flagged stale. */
  get trusted(): boolean {
    return this.#parts.view.untrustedSinceMs === undefined;
  }

  /** `true`: the latest answer of the store was a failure. */
  get storeFailing(): boolean {
    return this.#parts.store.failing;
  }

  /** Listens to the backplane; without it the first level stays unused. Resolves when the subscription is acknowledged. */
  async connect(bus: InvalidationBus): Promise<void> {
    const { view, waiters, clock, names, stats, tags } = this.#parts;
    const subscription = await bus.subscribe(names.channel, {
      onMessage: (message) => this.#hear(message),
      onUntrusted: () => {
        stats.gaps += this.trusted ? 1 : 0;
        view.distrust(clock.monotonic());
        tags.clear();
        waiters.wakeAll();
      },
      onTrusted: () => {
        view.trust();
        tags.clear();
        waiters.wakeAll();
      },
    });
    if (this.#closing.signal.aborted) {
      await subscription.close();
      throw new CacheClosedError(this.name);
    }
    this.#subscriptions.add(subscription);
  }

  /** The value of the first level, without a promise; `undefined` also for a negative entry and while it may not be shown. */
  peek(key: string): T | undefined {
    return this.#firstLevel(key)?.value;
  }

  /**
   * What the cache holds; `undefined` = nothing. It never loads.
   *
   * @throws {@link InvalidCacheKeyError}; {@link CacheStoreUnavailableError} when the store fails.
   */
  get(key: string): Promise<CacheHit<T> | undefined> {
    const hit = this.hitFirstLevel(key);
    if (hit !== undefined) {
      return Promise.resolve(hit);
    }
    // The read's own promise, and none around it: this is the way of every hit of the second level.
    return this.#closing.signal.aborted ? Promise.reject(new CacheClosedError(this.name)) : this.#access.read(key);
  }

  /**
   * What the cache holds for many keys: those of the first level, the others in one question to the store for each 500. Keys that it does not hold are left
   * out. It never loads. What two keys show need not be of the same moment.
   *
   * @throws as {@link get}.
   */
  async getMany(keys: Iterable<string>): Promise<ReadonlyMap<string, CacheHit<T>>> {
    this.#checkOpen();
    const hits = new Map<string, CacheHit<T>>();
    const missing: string[] = [];
    for (const key of new Set(keys)) {
      const hit = this.hitFirstLevel(key);
      if (hit === undefined) {
        missing.push(key);
      } else {
        hits.set(key, hit);
      }
    }
    await inChunks(missing, async (chunk) => {
      const found = await this.#access.readMany(chunk);
      chunk.forEach((key, index) => {
        const hit = found[index];
        if (hit !== undefined) {
          hits.set(key, hit);
        }
      });
    });
    return hits;
  }

  /**
   * Stores many values, each as {@link set} does and each by itself: what becomes of one is in its result, and nothing of it is in the others'. Results are aligned
   * with the entries; of two entries of a key the newer one wins.
   */
  async setMany(entries: readonly SetManyEntry<T, V>[]): Promise<readonly SetManyResult[]> {
    return await setEach(entries, (entry) => this.set(entry.key, entry.value, entry.version, entry));
  }

  /**
   * Stores all of these values or none, in one step: each as {@link set} would. Their keys are of one group (`groupOf` of the namespace). A reader may still see one of
   * them before another, for it reads one at a time.
   *
   * @throws as {@link set}; {@link CrossSlotError}; ConfigurationError when there are none, more than 500, or two of one key.
   */
  async setAll(entries: readonly SetManyEntry<T, V>[]): Promise<SetAllResult> {
    const { names, namespace } = this.#parts;
    this.#checkOpen();
    const keys = entries.map(({ key }) => key);
    entries.forEach((entry) => {
      checkCacheKey(entry.key);
      checkEntryOptions('VersionedCache.setAll', namespace, entry);
    });
    if (keys.length === 0 || keys.length > MAX_AT_ONCE || new Set(keys).size < keys.length) {
      throw new ConfigurationError('VersionedCache.setAll', [
        { option: 'entries', problem: `expected 1 to ${MAX_AT_ONCE} entries, each with a key of its own` },
      ]);
    }
    if (!names.inOneSlot(keys.map((key) => names.stored(key)))) {
      throw new CrossSlotError(this.name, keys.length);
    }
    const replies = await this.#access.writeAll(entries);
    return {
      applied: replies.every(({ outcome }) => outcome === 'applied'),
      results: keys.map((key, index) => ({ key, outcome: replies[index]?.outcome ?? 'absent' })),
    };
  }

  /**
   * Stores a value under its version, unless the cache knows the same or a newer one. In a synced namespace it replaces an older value only: on an
   * absent key it answers `absent`.
   *
   * @param value `undefined` stores a negative entry.
   * @param options where this entry differs from what its namespace says.
   * @throws {@link InvalidCacheKeyError}, ConfigurationError (lives), {@link CachePayloadTooLargeError}, {@link CacheValueNotEncodableError}; {@link CacheStoreUnavailableError}
   * when the store fails (it may have stored).
   */
  set(key: string, value: T | undefined, version: V, options: EntryOptions = AS_NAMESPACE): Promise<SetOutcome> {
    return this.#closing.signal.aborted
      ? Promise.reject(new CacheClosedError(this.name))
      : this.#access.write(key, value, version, options);
  }

  /**
   * A change brought this value: replaces an older one, never creates. `deferred` = a load is under way, its floor was raised.
   *
   * @throws as {@link set}.
   */
  async refresh(
    key: string,
    value: T,
    version: EntryVersion,
    options: EntryOptions = AS_NAMESPACE,
  ): Promise<ChangeOutcome> {
    const { store, origin, codec, namespace } = this.#parts;
    this.#checkOpen();
    checkEntryOptions('VersionedCache.refresh', namespace, options);
    const stamps = namespace.tagged ? await this.#access.tagsOf(options) : [];
    return await this.#access.change('refresh', key, version, (storedKey) => {
      const { payload } = codec.encode(value, stamps);
      if (payload === null || value === undefined) {
        return store.invalidate(storedKey, version, origin, namespace.tombstoneTtlMs);
      }
      return store.refresh(storeWrite(origin, storedKey, version, payload, storedLives(this.#parts, value, options)));
    });
  }

  /**
   * A change made everything below `version` old: removes an older value, and a load under way must bring at least this version. When it has
   * resolved, no read of this replica that begins afterwards shows less.
   *
   * @throws {@link InvalidCacheKeyError}; {@link CacheStoreUnavailableError} when the store fails.
   */
  async invalidate(key: string, version: V): Promise<ChangeOutcome> {
    const { store, origin, namespace } = this.#parts;
    this.#checkOpen();
    return await this.#access.change('invalidate', key, version, (storedKey) =>
      store.invalidate(storedKey, version, origin, namespace.tombstoneTtlMs),
    );
  }

  /**
   * For what has no readable stamp: the key becomes absent everywhere, loads under way are refused, reads under way fill nothing.
   *
   * @throws {@link InvalidCacheKeyError}; {@link CacheStoreUnavailableError} when the store fails.
   */
  async evict(key: string): Promise<void> {
    this.#checkOpen();
    await this.#access.evict(key);
  }

  /**
   * Everything that carries the tag is old, on every replica and also what is being loaded now. When it has resolved, no read of this replica that begins afterwards shows
   * it; others follow by one hop of the backplane.
   *
   * @throws ConfigurationError in a namespace that is not `tagged`; {@link InvalidCacheKeyError}; {@link CacheStoreUnavailableError} when the store fails (it may have been done).
   */
  async invalidateTag(tag: string): Promise<void> {
    this.#checkOpen();
    checkTags('VersionedCache.invalidateTag', this.namespace, [tag]);
    await this.#access.invalidateTag(tag);
  }

  /**
   * Everything in the namespace is old, in one step however much there is: like {@link invalidateTag} of a tag that all entries carry.
   *
   * @throws as {@link invalidateTag}.
   */
  async clear(): Promise<void> {
    this.#checkOpen();
    checkTags('VersionedCache.clear', this.namespace, []);
    await this.#access.invalidateTag(WHOLE_NAMESPACE);
  }

  /**
   * For what no change tells, such as rows that were truncated: everything in the namespace that is stamped at or below `version` becomes absent,
   * loads under way are refused whatever their stamp, and every replica drops its first level. What is stamped above stays. When it has resolved, no
   * read of this replica that begins afterwards shows what was swept. Takes one pass over the keys of the store, in bounded steps.
   *
   * @returns how many entries and leases were removed.
   * @throws {@link CacheStoreUnavailableError} when the store fails: sweep again, a part may be done.
   */
  async sweep(version: EntryVersion): Promise<number> {
    this.#checkOpen();
    return await this.#sweep.run(version);
  }

  /**
   * The value, from the nearest level, loaded if need be: one loader runs per process and per lease, everybody else gets its answer.
   *
   * @param loader reads the stamp before the data, or both in one snapshot.
   * @param options where this entry differs from what its namespace says. Callers that join a load get the entry of the one that began it.
   * @throws what the loader throws; {@link InvalidCacheKeyError}; ConfigurationError (lives); {@link CacheLoadTimeoutError}; {@link CacheOverloadedError} while the store is
   * down and too many loads wait; {@link CacheClosedError}.
   */
  async getOrLoad(key: string, loader: Loader<T, V>, options: EntryOptions = AS_NAMESPACE): Promise<CacheHit<T>> {
    const { stats, namespace } = this.#parts;
    const entry = this.#firstLevel(key);
    if (entry !== undefined) {
      if (namespace.earlyRefresh > 0) {
        this.#loads.refreshEarly(key, entry, loader, options);
      }
      return this.#shown(entry);
    }
    let answer = this.#loads.join(key);
    if (answer === undefined) {
      this.#checkOpen();
      checkCacheKey(key);
      checkEntryOptions('VersionedCache.getOrLoad', namespace, options);
      stats.misses++;
      answer = this.#loads.begin(key, loader, options);
    } else {
      stats.joined++;
    }
    const hit = await answer;
    stats.staleAnswers += hit.stale ? 1 : 0;
    stats.negativeHits += hit.value === undefined ? 1 : 0;
    return hit;
  }

  /** A stamp of the key was learned elsewhere (the replica's own commit): drops what is below it, and marks reads and loads under way. */
  learn(key: string, version: EntryVersion): void {
    this.#parts.view.learn(key, version);
  }

  /** What was counted since the cache was opened. */
  stats(): CacheStats {
    const { stats, store, view } = this.#parts;
    const { entries, bytes, flushes, flushReasons, evictions, takenOut } = view.counts;
    return {
      ...copiedStats(stats),
      takenOut,
      storeFailures: store.failures,
      l1Entries: entries,
      l1Bytes: bytes,
      l1Flushes: flushes,
      l1FlushReasons: flushReasons,
      l1Evictions: evictions,
    };
  }

  /** Takes no more work, ends loads and waits (their callers get an error), and leaves no timer or subscription behind. */
  async close(): Promise<void> {
    const { view, gate, waiters, store, clock } = this.#parts;
    if (this.#closing.signal.aborted) {
      return;
    }
    this.#closing.abort(new CacheClosedError(this.name));
    view.distrust(clock.monotonic());
    view.flush('close');
    gate.close();
    waiters.wakeAll();
    store.close();
    await this.#loads.settled();
    const subscriptions = [...this.#subscriptions];
    this.#subscriptions.clear();
    await Promise.all(subscriptions.map((subscription) => subscription.close()));
  }

  /** What the first level may show now, counted. */
  protected hitFirstLevel(key: string): CacheHit<T> | undefined {
    const entry = this.#firstLevel(key);
    return entry && this.#shown(entry);
  }

  #shown(entry: FirstLevelEntry<T>): CacheHit<T> {
    const { stats } = this.#parts;
    const stale = !this.trusted;
    stats.l1Hits++;
    stats.negativeHits += entry.value === undefined ? 1 : 0;
    stats.staleAnswers += stale ? 1 : 0;
    return { value: entry.value, version: entry.version, level: 'l1', stale };
  }

  /** An entry of the first level that may be shown now. */
  #firstLevel(key: string): FirstLevelEntry<T> | undefined {
    const { view, clock, namespace, tags } = this.#parts;
    const nowMs = clock.monotonic();
    const sinceMs = view.untrustedSinceMs;
    if (sinceMs !== undefined && (namespace.untrusted === 'bypass' || nowMs - sinceMs > namespace.serveStaleMs)) {
      return undefined;
    }
    const entry = view.entry(key, nowMs);
    // Without trust no tag is known, and the answer is flagged.
    const holds = entry?.tags === undefined || sinceMs !== undefined || tags.holds(entry.tags) === true;
    return holds ? entry : undefined;
  }

  #hear(message: InvalidationMessage): void {
    const { view, names, waiters, stats, tags } = this.#parts;
    const key = message.action === 'flush' ? undefined : names.key(message.key);
    countHeard(stats, key === undefined && message.action !== 'flush' ? 'tag' : message.action);
    if (message.action === 'flush') {
      view.flush('sweep');
      waiters.wakeAll();
      return;
    }
    if (key === undefined) {
      this.#hearOfTag(message, tags);
      return;
    }
    if (message.version !== null) {
      view.learn(key, message.version);
    } else if (message.action === 'evict') {
      view.evict(key);
    }
    waiters.wake(key);
  }

  #hearOfTag({ key, version }: InvalidationMessage, tags: TagBook): void {
    const tag = this.#parts.names.tagOf(key);
    if (tag === undefined) {
      return;
    }
    if (version === null) {
      tags.forget(tag);
    } else {
      tags.learn(tag, version);
    }
    this.#parts.view.takeOutAll();
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) {
      throw new CacheClosedError(this.name);
    }
  }
}
