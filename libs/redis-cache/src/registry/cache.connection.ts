import type { Clock, Policy, Random, ResilienceRegistry } from '@smartpulse/resilience';
import type { VersionedCacheParts } from '../cache/versioned-cache.parts.js';
import type { InvalidationBus } from '../invalidation/invalidation.bus.js';
import { REDIS_CACHE_DEFAULTS, type CacheConnectionOptions } from '../redis-cache.options.js';
import type { CacheStore } from '../store/cache.store.js';
import type { FieldsStore } from '../store/fields.store.js';
import { storeBreaker } from '../store/store-breaker.js';
import type { TransactionServers } from '../transactions/transaction-servers.js';
import { DEFAULT_CONNECTION } from './connection-options.js';
import { openSecondLevel, type SecondLevel } from './second-level.js';

/** The name of the circuit in front of the store; that of another connection than the default one has its name behind it. */
const BREAKER = 'redis-cache.store';

/** What a {@link CacheConnection} takes from its app. */
export interface CacheConnectionContext {
  /** This replica in messages. */
  readonly nodeId: string;
  readonly freeze: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly policies: ResilienceRegistry;
}

/** A store and its backplane, and what of them is the app's own to close. */
export class CacheConnection {
  readonly name: string;
  /** What is needed to open more of the same. */
  readonly options: CacheConnectionOptions;
  readonly store: CacheStore;
  /** Hashes of fields; `undefined`: the app brought a store of its own, and none for them. */
  readonly fieldsStore: FieldsStore | undefined;
  readonly bus: InvalidationBus;
  /** For transactions beside the cache; `undefined`: the store is none of Redis, or the app's own. */
  readonly transactionServers: TransactionServers | undefined;
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
    name: string,
    options: CacheConnectionOptions,
    { nodeId, freeze, clock, random }: CacheConnectionContext,
    level: SecondLevel,
    breaker: Policy | undefined,
  ) {
    this.name = name;
    this.options = options;
    this.nodeId = nodeId;
    this.freeze = freeze;
    this.clock = clock;
    this.random = random;
    this.store = level.store;
    this.fieldsStore = level.fieldsStore;
    this.bus = level.bus;
    this.transactionServers = level.transactionServers;
    this.breaker = breaker;
    this.#description = level.description;
    this.#close = level.close;
    this.prefix = options.prefix ?? REDIS_CACHE_DEFAULTS.prefix;
  }

  /** @throws {@link CacheStoreUnavailableError} when the store of the URL cannot be reached; {@link RedisClientMissingError} without its package. */
  static async open(
    name: string,
    options: CacheConnectionOptions,
    context: CacheConnectionContext,
  ): Promise<CacheConnection> {
    const level = await openSecondLevel(options, context.clock, context.random);
    const circuit = name === DEFAULT_CONNECTION ? BREAKER : `${BREAKER}.${name}`;
    const breaker = level.store.shared
      ? context.policies.create(circuit, { retry: false, breaker: storeBreaker() })
      : undefined;
    level.onRecovery?.(() => breaker?.reset());
    return new CacheConnection(name, options, context, level, breaker);
  }

  /** As metrics name it: an attribute that those of the default connection do not have. */
  get attributes(): { readonly connection?: string } {
    return this.name === DEFAULT_CONNECTION ? {} : { connection: this.name };
  }

  /** One line for the start log. */
  get description(): string {
    const durable = this.store.durable ? 'durable' : 'not durable';
    const shared = this.store.shared
      ? 'shared with other processes'
      : 'seen by this process only: a replica in another process has a cache of its own';
    return `${this.#description}, ${durable}, ${shared}`;
  }

  /** What every cache of this connection is made with. */
  parts(): Omit<VersionedCacheParts<never>, 'namespace' | 'onLoaded' | 'onStored' | 'onRefreshFailed' | 'view'> {
    const { store, prefix, nodeId, freeze, clock, random, breaker } = this;
    return { store, prefix, nodeId, freeze, clock, random, breaker };
  }

  /** Closes what this connection made itself; what it was handed stays open. */
  close(): Promise<void> {
    return this.#close();
  }
}
