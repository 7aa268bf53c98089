import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { AutoCache } from '../cache/auto-cache.js';
import { VersionedCache } from '../cache/versioned-cache.js';
import { EmbeddedCacheServer } from '../embedded/embedded-cache.server.js';
import { MemoryFieldsStore } from '../embedded/fields/memory.fields-store.js';
import { MemoryInvalidationBus } from '../embedded/memory.bus.js';
import { MemoryCacheStore } from '../embedded/memory.store.js';
import { type CacheNamespaceOptions, defineCache } from '../namespace/define-cache.js';
import { defineFieldsCache, type FieldsNamespaceOptions } from '../namespace/define-fields-cache.js';
import { VersionedFieldsCache } from '../fields/versioned-fields-cache.js';
import { LossyInvalidationBus } from './twins/lossy.bus.js';
import { UnreliableCacheStore } from './twins/unreliable.store.js';

/** What the specs cache. */
export interface TestRow {
  readonly text: string;
  readonly tags?: readonly string[];
}

/** One replica and its lines, which can be made to fail. */
export interface TestReplica {
  readonly cache: VersionedCache<TestRow>;
  readonly store: UnreliableCacheStore;
  readonly bus: LossyInvalidationBus;
}

/** Replicas over one embedded server and one clock that stands still. */
export class TestReplicas {
  readonly clock = new VirtualClock();
  readonly server = new EmbeddedCacheServer({ clock: this.clock });
  readonly #caches: VersionedCache<TestRow>[] = [];
  readonly #autos: VersionedCache<TestRow, 'next'>[] = [];
  readonly #hashes: VersionedFieldsCache<TestRow>[] = [];

  /** @param line `silent`: the backplane does not say that it is cut, as if messages were only late. */
  async add(
    options: Partial<CacheNamespaceOptions<TestRow>> = {},
    line: { readonly silent?: boolean } = {},
  ): Promise<TestReplica> {
    const store = new UnreliableCacheStore(new MemoryCacheStore(this.server), this.clock);
    const bus = new LossyInvalidationBus(new MemoryInvalidationBus(this.server), line);
    const cache = new VersionedCache<TestRow>({
      namespace: defineCache<TestRow>({ name: 'rows', synced: true, ...options }),
      prefix: 'test',
      nodeId: `n${this.#caches.length}`,
      store,
      clock: this.clock,
      random: new SeededRandom(this.#caches.length + 1),
    });
    this.#caches.push(cache);
    await cache.connect(bus);
    return { cache, store, bus };
  }

  /** A replica whose versions the store gives. */
  async addAuto(
    options: Partial<CacheNamespaceOptions<TestRow>> = {},
  ): Promise<Omit<TestReplica, 'cache'> & { readonly auto: AutoCache<TestRow> }> {
    const store = new UnreliableCacheStore(new MemoryCacheStore(this.server), this.clock);
    const bus = new LossyInvalidationBus(new MemoryInvalidationBus(this.server), {});
    const cache = new VersionedCache<TestRow, 'next'>({
      namespace: defineCache<TestRow>({ name: 'values', synced: false, ...options, versioning: 'auto' }),
      prefix: 'test',
      nodeId: `a${this.#autos.length}`,
      store,
      clock: this.clock,
      random: new SeededRandom(this.#autos.length + 1),
    });
    this.#autos.push(cache);
    await cache.connect(bus);
    return { auto: new AutoCache(cache), store, bus };
  }

  /** A replica of hashes. */
  async addFields(
    options: Partial<FieldsNamespaceOptions<TestRow>> = {},
  ): Promise<{ readonly cache: VersionedFieldsCache<TestRow>; readonly bus: LossyInvalidationBus }> {
    const bus = new LossyInvalidationBus(new MemoryInvalidationBus(this.server), {});
    const cache = new VersionedFieldsCache<TestRow>({
      namespace: defineFieldsCache<TestRow>({ name: 'hashes', synced: true, ...options }),
      prefix: 'test',
      nodeId: `f${this.#hashes.length}`,
      store: new MemoryFieldsStore(this.server),
      clock: this.clock,
      random: new SeededRandom(this.#hashes.length + 1),
    });
    this.#hashes.push(cache);
    await cache.whole.connect(bus);
    return { cache, bus };
  }

  async close(): Promise<void> {
    const hashes = this.#hashes.map(({ whole }) => whole);
    await Promise.all([...this.#caches, ...this.#autos, ...hashes].map((cache) => cache.close()));
    this.server.close();
  }
}

/** A promise that a test settles. */
export class Gate<T> {
  readonly promise: Promise<T>;
  open: (value: T) => void = () => {};

  constructor() {
    this.promise = new Promise<T>((resolve) => {
      this.open = resolve;
    });
  }
}
