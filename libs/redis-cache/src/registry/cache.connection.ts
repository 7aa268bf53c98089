import type { Clock, Random } from '@smartpulse/resilience';
import type { VersionedCacheParts } from '../cache/versioned-cache.js';
import { EmbeddedCacheServer } from '../embedded/embedded-cache.server.js';
import { MemoryInvalidationBus } from '../embedded/memory.bus.js';
import { MemoryCacheStore } from '../embedded/memory.store.js';
import type { InvalidationBus } from '../invalidation/invalidation.bus.js';
import { REDIS_CACHE_DEFAULTS, type RedisCacheModuleOptions } from '../redis-cache.options.js';
import type { CacheStore } from '../store/cache.store.js';

/** The app's store and backplane, and what of them is its own to close. */
export class CacheConnection {
  readonly store: CacheStore;
  readonly bus: InvalidationBus;
  readonly prefix: string;
  /** This replica in messages. */
  readonly nodeId: string;
  readonly freeze: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly #own: EmbeddedCacheServer | undefined;
  readonly #embedded: boolean;

  constructor(options: RedisCacheModuleOptions, clock: Clock, random: Random) {
    this.clock = clock;
    this.random = random;
    this.#embedded = options.store === undefined;
    this.#own =
      options.server === undefined && (options.store === undefined || options.bus === undefined)
        ? new EmbeddedCacheServer({ clock })
        : undefined;
    const server = options.server ?? this.#own;
    this.store = options.store ?? new MemoryCacheStore(required(server));
    this.bus = options.bus ?? new MemoryInvalidationBus(required(server));
    this.prefix = options.prefix ?? REDIS_CACHE_DEFAULTS.prefix;
    this.nodeId = options.nodeId ?? random.id();
    this.freeze = options.freeze ?? REDIS_CACHE_DEFAULTS.freeze;
  }

  /** One line for the start log. */
  get description(): string {
    const kind = this.#embedded ? 'embedded store (memory://)' : 'own store';
    const durable = this.store.durable ? 'durable' : 'not durable';
    const shared = this.store.shared
      ? 'shared with other processes'
      : 'seen by this process only: a replica in another process has a cache of its own';
    return `${kind}, ${durable}, ${shared}`;
  }

  /** What every cache of this app is made with. */
  parts(): Omit<VersionedCacheParts<never>, 'namespace' | 'onLoaded' | 'view'> {
    const { store, prefix, nodeId, freeze, clock, random } = this;
    return { store, prefix, nodeId, freeze, clock, random };
  }

  /** Closes what this connection made itself; what it was handed stays open. */
  close(): void {
    this.#own?.close();
  }
}

function required(server: EmbeddedCacheServer | undefined): EmbeddedCacheServer {
  if (server === undefined) {
    throw new Error('No embedded server was made for this connection.');
  }
  return server;
}
