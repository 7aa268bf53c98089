import { type Clock, ConfigurationError, type Policy, type Random } from '@smartpulse/resilience';
import type {
  InvalidationBus,
  InvalidationMessage,
  InvalidationSubscription,
} from '../invalidation/invalidation.bus.js';
import { checkCacheKey } from '../namespace/cache-key.js';
import type { CacheNamespace } from '../namespace/define-cache.js';
import { NamespaceNames } from '../namespace/names.js';
import { CacheClosedError, CacheValueNotEncodableError } from '../redis-cache.errors.js';
import type { CacheStore, ChangeOutcome, SetOutcome, StoreOrigin } from '../store/cache.store.js';
import { TimedCacheStore } from '../store/timed.store.js';
import type { EntryVersion } from '../version/entry-version.js';
import type { CacheHit, Loader } from './cache-hit.js';
import type { CacheParts } from './cache.parts.js';
import { type CacheStats, emptyStats } from './cache.stats.js';
import { EntryCodec } from './entry.codec.js';
import { checkLives, type EntryLives } from './entry-lives.js';
import { storedTtlMs } from './filling.js';
import type { FirstLevelEntry } from './first-level.js';
import { GatheredReads } from './gathered-reads.js';
import { inChunks, type SetManyEntry, type SetManyResult } from './many.js';
import { KeyWaiters } from './key-waiters.js';
import { LoadRun } from './load-run.js';
import { LocalView, type SharedLoad } from './local-view.js';
import { NamespaceSweep } from './namespace-sweep.js';
import { OutageGate } from './outage-gate.js';
import { StoreAccess } from './store-access.js';

const NAMESPACE_LIVES: EntryLives = Object.freeze({});

/** What a {@link VersionedCache} is made of. */
export interface VersionedCacheParts<T> {
  readonly namespace: CacheNamespace<T>;
  /** In front of every key and channel. */
  readonly prefix: string;
  /** This replica, in messages; unique among those that share the store. */
  readonly nodeId: string;
  readonly store: CacheStore;
  readonly clock: Clock;
  readonly random: Random;
  /** A circuit in front of the store, shared by all caches on it: while it is open, no call waits for the store. Default: none. */
  readonly breaker?: Policy | undefined;
  /** Freeze what readers share. Default `true`. */
  readonly freeze?: boolean | undefined;
  /** Told how long each loader took, in milliseconds. */
  readonly onLoaded?: ((durationMs: number) => void) | undefined;
  /** What the replica believes, by its rules. Default: a {@link LocalView}. */
  readonly view?: LocalView<T> | undefined;
  /** What its keys are called in the store. Default: as values. */
  readonly names?: NamespaceNames | undefined;
}

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
export class VersionedCache<T> {
  readonly #parts: CacheParts<T>;
  readonly #access: StoreAccess<T>;
  readonly #sweep: NamespaceSweep<T>;
  readonly #closing = new AbortController();
  readonly #subscriptions = new Set<InvalidationSubscription>();
  readonly #loads = new Set<Promise<unknown>>();

  constructor(options: VersionedCacheParts<T>) {
    const { namespace, clock } = options;
    const names = options.names ?? new NamespaceNames(options.prefix, namespace.name);
    const origin: StoreOrigin = { channel: names.channel, source: options.nodeId, synced: namespace.synced };
    const store = new TimedCacheStore(options.store, namespace.storeTimeoutMs, clock, options.breaker);
    this.#parts = {
      namespace,
      names,
      origin,
      store,
      reads: new GatheredReads(store),
      view: options.view ?? new LocalView<T>(namespace),
      codec: new EntryCodec(namespace, options.freeze ?? true),
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
      onLoaded: options.onLoaded ?? ((): void => {}),
    };
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
    const { view, waiters, clock, names, stats } = this.#parts;
    const subscription = await bus.subscribe(names.channel, {
      onMessage: (message) => this.#hear(message),
      onUntrusted: () => {
        stats.gaps += this.trusted ? 1 : 0;
        view.distrust(clock.monotonic());
        waiters.wakeAll();
      },
      onTrusted: () => {
        view.trust();
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
  async setMany(entries: readonly SetManyEntry<T>[]): Promise<readonly SetManyResult[]> {
    const results: SetManyResult[] = [];
    await inChunks(entries, async (chunk) => {
      const settled = await Promise.allSettled(
        chunk.map((entry) => this.set(entry.key, entry.value, entry.version, entry)),
      );
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

  /**
   * Stores a value under its version, unless the cache knows the same or a newer one. In a synced namespace it replaces an older value only: on an
   * absent key it answers `absent`.
   *
   * @param value `undefined` stores a negative entry.
   * @param lives where this entry is to live otherwise than its namespace says.
   * @throws {@link InvalidCacheKeyError}, ConfigurationError (lives), {@link CachePayloadTooLargeError}, {@link CacheValueNotEncodableError}; {@link CacheStoreUnavailableError}
   * when the store fails (it may have stored).
   */
  async set(
    key: string,
    value: T | undefined,
    version: EntryVersion,
    lives: EntryLives = NAMESPACE_LIVES,
  ): Promise<SetOutcome> {
    this.#checkOpen();
    checkLives('VersionedCache.set', lives);
    return await this.#access.write(key, value, version, lives);
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
    lives: EntryLives = NAMESPACE_LIVES,
  ): Promise<ChangeOutcome> {
    const { store, origin, codec, namespace } = this.#parts;
    this.#checkOpen();
    checkLives('VersionedCache.refresh', lives);
    return await this.#access.change(key, version, (storedKey) => {
      const { payload } = codec.encode(value);
      if (payload === null) {
        return store.invalidate(storedKey, version, origin, namespace.tombstoneTtlMs);
      }
      const ttlMs = storedTtlMs(this.#parts, payload, lives);
      return store.refresh({ ...origin, key: storedKey, version, payload, ttlMs });
    });
  }

  /**
   * A change made everything below `version` old: removes an older value, and a load under way must bring at least this version. When it has
   * resolved, no read of this replica that begins afterwards shows less.
   *
   * @throws {@link InvalidCacheKeyError}; {@link CacheStoreUnavailableError} when the store fails.
   */
  async invalidate(key: string, version: EntryVersion): Promise<ChangeOutcome> {
    const { store, origin, namespace } = this.#parts;
    this.#checkOpen();
    return await this.#access.change(key, version, (storedKey) =>
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
   * @param lives where this entry is to live otherwise than its namespace says. Callers that join a load get the entry of the one that began it.
   * @throws what the loader throws; {@link InvalidCacheKeyError}; ConfigurationError (lives); {@link CacheLoadTimeoutError}; {@link CacheOverloadedError} while the store is
   * down and too many loads wait; {@link CacheClosedError}.
   */
  async getOrLoad(key: string, loader: Loader<T>, lives: EntryLives = NAMESPACE_LIVES): Promise<CacheHit<T>> {
    const { view, stats } = this.#parts;
    const hit = this.hitFirstLevel(key);
    if (hit !== undefined) {
      return hit;
    }
    const shared = view.shared(key)?.answer;
    if (shared !== undefined) {
      stats.joined++;
      return await this.#counted(shared);
    }
    this.#checkOpen();
    checkCacheKey(key);
    checkLives('VersionedCache.getOrLoad', lives);
    stats.misses++;
    return await this.#counted(this.#begin(key, loader, lives));
  }

  /** A stamp of the key was learned elsewhere (the replica's own commit): drops what is below it, and marks reads and loads under way. */
  learn(key: string, version: EntryVersion): void {
    this.#parts.view.learn(key, version);
  }

  /** What was counted since the cache was opened. */
  stats(): CacheStats {
    const { stats, store, view } = this.#parts;
    const { entries, bytes, flushes, evictions, takenOut } = view.counts;
    return {
      ...stats,
      takenOut,
      storeFailures: store.failures,
      l1Entries: entries,
      l1Bytes: bytes,
      l1Flushes: flushes,
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
    view.flush();
    gate.close();
    waiters.wakeAll();
    store.close();
    await Promise.allSettled(this.#loads);
    const subscriptions = [...this.#subscriptions];
    this.#subscriptions.clear();
    await Promise.all(subscriptions.map((subscription) => subscription.close()));
  }

  #begin(key: string, loader: Loader<T>, lives: EntryLives): Promise<CacheHit<T>> {
    const { view } = this.#parts;
    const load: SharedLoad<T> = { flight: view.begin(key), stamp: undefined, answer: undefined };
    const run = new LoadRun(this.#parts, load, loader, lives).run();
    const answer = run
      .catch((error: unknown) => this.#lastKnown(key, error))
      .finally(() => {
        view.unshare(load);
        view.end(load.flight);
        this.#loads.delete(answer);
      });
    // Nobody joins before this line: a load runs on synchronously until its first question to the store.
    load.answer = answer;
    view.share(load);
    this.#loads.add(answer);
    return answer;
  }

  /** Fail-safe: the value that was there until lately, where the source cannot be asked. @throws the failure when there is none. */
  #lastKnown(key: string, failure: unknown): CacheHit<T> {
    const { view, clock, stats } = this.#parts;
    const entry = isMistake(failure) ? undefined : view.lastKnown(key, clock.monotonic());
    if (entry === undefined || this.#parts.namespace.failSafeMs === 0) {
      throw failure;
    }
    stats.failSafes++;
    return { value: entry.value, version: entry.version, level: 'l1', stale: true, failure };
  }

  async #counted(answer: Promise<CacheHit<T>>): Promise<CacheHit<T>> {
    const hit = await answer;
    const { stats } = this.#parts;
    stats.staleAnswers += hit.stale ? 1 : 0;
    stats.negativeHits += hit.value === undefined ? 1 : 0;
    return hit;
  }

  /** What the first level may show now, counted. */
  protected hitFirstLevel(key: string): CacheHit<T> | undefined {
    const entry = this.#firstLevel(key);
    if (entry === undefined) {
      return undefined;
    }
    const { stats } = this.#parts;
    const stale = !this.trusted;
    stats.l1Hits++;
    stats.negativeHits += entry.value === undefined ? 1 : 0;
    stats.staleAnswers += stale ? 1 : 0;
    return { value: entry.value, version: entry.version, level: 'l1', stale };
  }

  /** An entry of the first level that may be shown now. */
  #firstLevel(key: string): FirstLevelEntry<T> | undefined {
    const { view, clock, namespace } = this.#parts;
    const nowMs = clock.monotonic();
    const sinceMs = view.untrustedSinceMs;
    if (sinceMs !== undefined && (namespace.untrusted === 'bypass' || nowMs - sinceMs > namespace.serveStaleMs)) {
      return undefined;
    }
    return view.entry(key, nowMs);
  }

  #hear(message: InvalidationMessage): void {
    const { view, names, waiters, stats } = this.#parts;
    stats.messagesReceived++;
    if (message.action === 'flush') {
      view.flush();
      waiters.wakeAll();
      return;
    }
    const key = names.key(message.key);
    if (key === undefined) {
      return;
    }
    if (message.version !== null) {
      view.learn(key, message.version);
    } else if (message.action === 'evict') {
      view.evict(key);
    }
    waiters.wake(key);
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) {
      throw new CacheClosedError(this.name);
    }
  }
}

/** What no old value helps against: the cache is closed, or its caller did something wrong. */
function isMistake(error: unknown): boolean {
  return CacheClosedError.is(error) || CacheValueNotEncodableError.is(error) || error instanceof ConfigurationError;
}
