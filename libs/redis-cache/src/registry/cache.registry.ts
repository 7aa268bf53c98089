import { Logger } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { AutoCache } from '../cache/auto-cache.js';
import { VersionedCache } from '../cache/versioned-cache.js';
import type { VersionedCacheParts } from '../cache/versioned-cache.parts.js';
import { VersionedFieldsCache } from '../fields/versioned-fields-cache.js';
import type { AutoCacheNamespace, CacheNamespace } from '../namespace/define-cache.js';
import type { FieldsNamespace } from '../namespace/define-fields-cache.js';
import { UnknownCacheError } from '../redis-cache.errors.js';
import type { CacheConnection } from './cache.connection.js';

/** Told what happens in the caches of an app, by the name of the namespace. */
export interface CacheObserver {
  /** How long a loader took, in milliseconds. */
  loaded(namespace: string, durationMs: number): void;
  /** How large a payload is that the store took, in bytes. */
  stored(namespace: string, bytes: number): void;
  /** How long a message of the backplane takes to come back, in milliseconds. */
  lagged(lagMs: number): void;
}

type Hooks = Pick<VersionedCacheParts<never>, 'onLoaded' | 'onStored' | 'onRefreshFailed'>;

/** A cache whatever it holds, and whoever gives its versions: to look at, not to write to. */
export type ListedCache = VersionedCache<unknown, never>;

interface OpenCache {
  readonly namespace: unknown;
  /** Of hashes: those as wholes. */
  readonly cache: ListedCache;
  readonly fields: VersionedFieldsCache<unknown> | undefined;
  readonly auto?: AutoCache<unknown> | undefined;
}

/** The caches of this app, by name. */
export class CacheRegistry {
  readonly #logger = new Logger(CacheRegistry.name);
  readonly #caches = new Map<string, OpenCache>();
  readonly #observers = new Set<CacheObserver>();
  #connected = false;

  constructor(private readonly connection: CacheConnection) {}

  /** Every namespace listens to the backplane. */
  get connected(): boolean {
    return this.#connected;
  }

  /**
   * The cache of a namespace; made on the first call.
   *
   * @throws ConfigurationError when another namespace has this name.
   */
  open<T>(namespace: CacheNamespace<T>): VersionedCache<T> {
    const { cache } = this.#opened(namespace, (hooks) => ({
      cache: new VersionedCache<T>({ ...this.connection.parts(), namespace, ...hooks }),
      fields: undefined,
    }));
    return typed<T>(cache);
  }

  /**
   * The cache of a namespace whose versions the store gives; made on the first call.
   *
   * @throws ConfigurationError when another namespace has this name.
   */
  openAuto<T>(namespace: AutoCacheNamespace<T>): AutoCache<T> {
    this.#opened(namespace, (hooks) => {
      const cache = new VersionedCache<T, 'next'>({ ...this.connection.parts(), namespace, ...hooks });
      return { cache, fields: undefined, auto: new AutoCache(cache) };
    });
    return this.auto<T>(namespace.name);
  }

  /**
   * The cache of a namespace of hashes; made on the first call.
   *
   * @throws ConfigurationError when another namespace has this name, or the app's own store has no hashes.
   */
  openFields<T>(namespace: FieldsNamespace<T>): VersionedFieldsCache<T> {
    const { fieldsStore: store } = this.connection;
    if (store === undefined) {
      throw new ConfigurationError(
        'RedisCacheModule.forFeature',
        [{ option: 'namespaces', problem: `"${namespace.name}" has fields, and the app's own store has none` }],
        'Hand RedisCacheModule.forRoot a fieldsStore beside the store.',
      );
    }
    this.#opened(namespace, (hooks) => {
      const fields = new VersionedFieldsCache<T>({ ...this.connection.parts(), store, namespace, ...hooks });
      return { cache: fields.whole, fields };
    });
    return this.fields<T>(namespace.name);
  }

  /** @throws {@link UnknownCacheError} also when the store gives its versions: see {@link auto}. */
  get<T = unknown>(name: string): VersionedCache<T> {
    const { cache, auto } = this.#known(name);
    if (auto !== undefined) {
      throw new UnknownCacheError(name);
    }
    return typed<T>(cache);
  }

  /** A cache of hashes. @throws {@link UnknownCacheError} also when it is one of values. */
  fields<T = unknown>(name: string): VersionedFieldsCache<T> {
    const { fields } = this.#known(name);
    if (fields === undefined) {
      throw new UnknownCacheError(name);
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as for values: a name carries no type
    return fields as VersionedFieldsCache<T>;
  }

  /** A cache whose versions the store gives. @throws {@link UnknownCacheError} also when it is another one. */
  auto<T = unknown>(name: string): AutoCache<T> {
    const { auto } = this.#known(name);
    if (auto === undefined) {
      throw new UnknownCacheError(name);
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as for values: a name carries no type
    return auto as AutoCache<T>;
  }

  /** Whether the cache of this name is one of hashes. @throws {@link UnknownCacheError} */
  hasFields(name: string): boolean {
    return this.#known(name).fields !== undefined;
  }

  /** Whether a namespace of this name was registered. */
  has(name: string): boolean {
    return this.#caches.has(name);
  }

  /** Every cache of this app; one of hashes as whole values. */
  list(): readonly ListedCache[] {
    return Array.from(this.#caches.values(), ({ cache }) => cache);
  }

  /** Adds somebody who wants to know what happens; answers how to take it out again. */
  observe(observer: CacheObserver): () => void {
    this.#observers.add(observer);
    const forgetLag = this.connection.bus.observeLag((lagMs) => observer.lagged(lagMs));
    return () => {
      this.#observers.delete(observer);
      forgetLag();
    };
  }

  /** Subscribes every namespace; resolves when all subscriptions stand. */
  async connect(): Promise<void> {
    this.#connected = true;
    await Promise.all(this.list().map((cache) => cache.connect(this.connection.bus)));
  }

  /** Closes every cache. */
  async close(): Promise<void> {
    await Promise.all(this.list().map((cache) => cache.close()));
  }

  #known(name: string): OpenCache {
    const known = this.#caches.get(name);
    if (known === undefined) {
      throw new UnknownCacheError(name);
    }
    return known;
  }

  #opened<T>(namespace: CacheNamespace<T>, make: (hooks: Hooks) => Omit<OpenCache, 'namespace'>): OpenCache {
    const { name } = namespace;
    const known = this.#caches.get(name);
    if (known !== undefined) {
      if (known.namespace !== namespace) {
        throw new ConfigurationError(
          'RedisCacheModule.forFeature',
          [{ option: 'namespaces', problem: `two different caches are named "${name}"` }],
          'Declare a cache once with defineCache and import that constant everywhere.',
        );
      }
      return known;
    }
    const open: OpenCache = {
      namespace,
      ...make({
        onLoaded: (durationMs) => this.#observers.forEach((observer) => observer.loaded(name, durationMs)),
        onStored: (bytes) => this.#observers.forEach((observer) => observer.stored(name, bytes)),
        onRefreshFailed: (error) =>
          this.#logger.debug(
            `A value of the cache "${name}" could not be loaded anew before its end (${String(error)}).`,
          ),
      }),
    };
    this.#caches.set(name, open);
    if (this.#connected) {
      // A module that was loaded after the start: until the subscription stands, the first level is bypassed.
      void open.cache.connect(this.connection.bus).catch((error: unknown) => {
        this.#logger.error(`The cache "${name}" has no backplane.`, error instanceof Error ? error.stack : undefined);
      });
    }
    return open;
  }
}

/** A cache is registered under the name of its namespace, and only there; whoever asks by name vouches for the type. */
function typed<T>(cache: ListedCache): VersionedCache<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a name carries no type; this is the one place where it gets one
  return cache as VersionedCache<T>;
}
