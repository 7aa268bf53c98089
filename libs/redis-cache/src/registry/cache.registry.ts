import { Logger } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { VersionedCache } from '../cache/versioned-cache.js';
import type { CacheNamespace } from '../namespace/define-cache.js';
import { UnknownCacheError } from '../redis-cache.errors.js';
import type { CacheConnection } from './cache.connection.js';

/** Told how long a loader of a namespace took, in milliseconds. */
export type LoadObserver = (namespace: string, durationMs: number) => void;

/** The caches of this app, by name. */
export class CacheRegistry {
  readonly #logger = new Logger(CacheRegistry.name);
  readonly #caches = new Map<string, { readonly namespace: unknown; readonly cache: VersionedCache<unknown> }>();
  readonly #observers = new Set<LoadObserver>();
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
    const known = this.#caches.get(namespace.name);
    if (known !== undefined) {
      if (known.namespace !== namespace) {
        throw new ConfigurationError(
          'RedisCacheModule.forFeature',
          [{ option: 'namespaces', problem: `two different caches are named "${namespace.name}"` }],
          'Declare a cache once with defineCache and import that constant everywhere.',
        );
      }
      return typed<T>(known.cache);
    }
    const { name } = namespace;
    const cache = new VersionedCache<T>({
      ...this.connection.parts(),
      namespace,
      onLoaded: (durationMs) => {
        for (const observer of this.#observers) {
          observer(name, durationMs);
        }
      },
    });
    this.#caches.set(name, { namespace, cache });
    if (this.#connected) {
      // A module that was loaded after the start: until the subscription stands, the first level is bypassed.
      void cache.connect(this.connection.bus).catch((error: unknown) => {
        this.#logger.error(`The cache "${name}" has no backplane.`, error instanceof Error ? error.stack : undefined);
      });
    }
    return cache;
  }

  /**
   * @throws {@link UnknownCacheError}
   */
  get<T = unknown>(name: string): VersionedCache<T> {
    const known = this.#caches.get(name);
    if (known === undefined) {
      throw new UnknownCacheError(name);
    }
    return typed<T>(known.cache);
  }

  /** Whether a namespace of this name was registered. */
  has(name: string): boolean {
    return this.#caches.has(name);
  }

  /** Every cache of this app. */
  list(): readonly VersionedCache<unknown>[] {
    return Array.from(this.#caches.values(), ({ cache }) => cache);
  }

  /** Adds somebody who wants to know how long loaders take; answers how to take it out again. */
  observeLoads(observer: LoadObserver): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
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
}

/** A cache is registered under the name of its namespace, and only there; whoever asks by name vouches for the type. */
function typed<T>(cache: VersionedCache<unknown>): VersionedCache<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a name carries no type; this is the one place where it gets one
  return cache as VersionedCache<T>;
}
