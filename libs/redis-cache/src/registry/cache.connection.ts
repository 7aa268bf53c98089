import type { Clock, Policy, Random, ResilienceRegistry } from '@smartpulse/resilience';
import type { VersionedCacheParts } from '../cache/versioned-cache.parts.js';
import type { InvalidationBus } from '../invalidation/invalidation.bus.js';
import { REDIS_CACHE_DEFAULTS, type RedisCacheModuleOptions } from '../redis-cache.options.js';
import type { CacheStore } from '../store/cache.store.js';
import type { FieldsStore } from '../store/fields.store.js';
import { storeBreaker } from '../store/store-breaker.js';
import { openSecondLevel, type SecondLevel } from './second-level.js';

/** The name of the circuit in front of the store. */
const BREAKER = 'redis-cache.store';

/** The app's store and backplane, and what of them is its own to close. */
export class CacheConnection {
  readonly store: CacheStore;
  /** Hashes of fields; `undefined`: the app brought a store of its own, and none for them. */
  readonly fieldsStore: FieldsStore | undefined;
  readonly bus: InvalidationBus;
  readonly prefix: string;
  /** This replica in messages. */
  readonly nodeId: string;
  readonly freeze: boolean;
  readonly clock: Clock;
  readonly random: Random;
  /** In front of a store that is elsewhere. */
  readonly breaker: Policy | undefined;
  readonly #description: string;
  readonly #close: () => Promise<void>;

  private constructor(
    options: RedisCacheModuleOptions,
    clock: Clock,
    random: Random,
    level: SecondLevel,
    breaker: Policy | undefined,
  ) {
    this.clock = clock;
    this.random = random;
    this.store = level.store;
    this.fieldsStore = level.fieldsStore;
    this.bus = level.bus;
    this.breaker = breaker;
    this.#description = level.description;
    this.#close = level.close;
    this.prefix = options.prefix ?? REDIS_CACHE_DEFAULTS.prefix;
    this.nodeId = options.nodeId ?? random.id();
    this.freeze = options.freeze ?? REDIS_CACHE_DEFAULTS.freeze;
  }

  /** @throws {@link CacheStoreUnavailableError} when the store of the URL cannot be reached; {@link RedisClientMissingError} without its package. */
  static async open(
    options: RedisCacheModuleOptions,
    clock: Clock,
    random: Random,
    policies: ResilienceRegistry,
  ): Promise<CacheConnection> {
    const level = await openSecondLevel(options, clock, random);
    const breaker = level.store.shared
      ? policies.create(BREAKER, { retry: false, breaker: storeBreaker() })
      : undefined;
    level.onRecovery?.(() => breaker?.reset());
    return new CacheConnection(options, clock, random, level, breaker);
  }

  /** One line for the start log. */
  get description(): string {
    const durable = this.store.durable ? 'durable' : 'not durable';
    const shared = this.store.shared
      ? 'shared with other processes'
      : 'seen by this process only: a replica in another process has a cache of its own';
    return `${this.#description}, ${durable}, ${shared}`;
  }

  /** What every cache of this app is made with. */
  parts(): Omit<VersionedCacheParts<never>, 'namespace' | 'onLoaded' | 'onStored' | 'onRefreshFailed' | 'view'> {
    const { store, prefix, nodeId, freeze, clock, random, breaker } = this;
    return { store, prefix, nodeId, freeze, clock, random, breaker };
  }

  /** Closes what this connection made itself; what it was handed stays open. */
  close(): Promise<void> {
    return this.#close();
  }
}
