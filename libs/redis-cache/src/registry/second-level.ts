import type { Clock, Random } from '@smartpulse/resilience';
import { EmbeddedCacheServer } from '../embedded/embedded-cache.server.js';
import { MemoryInvalidationBus } from '../embedded/memory.bus.js';
import { MemoryFieldsStore } from '../embedded/fields/memory.fields-store.js';
import { MemoryCacheStore } from '../embedded/memory.store.js';
import type { InvalidationBus } from '../invalidation/invalidation.bus.js';
import { REDIS_CACHE_DEFAULTS, type CacheConnectionOptions } from '../redis-cache.options.js';
import type { CacheStore } from '../store/cache.store.js';
import type { FieldsStore } from '../store/fields.store.js';
import type { TransactionServers } from '../transactions/transaction-servers.js';
import { loadRedisAdapter } from './load-redis-adapter.js';

/** The store and backplane of a connection, and what of them is its own to close. */
export interface SecondLevel {
  readonly store: CacheStore;
  /** Hashes of fields; `undefined`: the app's own store has none. */
  readonly fieldsStore: FieldsStore | undefined;
  readonly bus: InvalidationBus;
  /** For transactions beside the cache; `undefined`: the store is none of Redis, or the app's own. */
  readonly transactionServers?: TransactionServers | undefined;
  /** For the start log; without credentials. */
  readonly description: string;
  /** Calls when a store that could not be reached can be again. */
  readonly onRecovery?: ((call: () => void) => void) | undefined;
  readonly close: () => Promise<void>;
}

/** Opens what the options name: adapters of the app's own, the embedded server, or Redis. */
export async function openSecondLevel(
  options: CacheConnectionOptions,
  clock: Clock,
  random: Random,
): Promise<SecondLevel> {
  const { store, fieldsStore, bus } = options;
  if (store !== undefined && bus !== undefined) {
    return { store, fieldsStore, bus, description: 'own store', close: async () => {} };
  }
  const level =
    options.url?.startsWith('memory:') === true ? embedded(options, clock) : await redis(options, clock, random);
  return {
    ...level,
    ...(store === undefined
      ? {}
      : { store, fieldsStore: undefined, transactionServers: undefined, description: 'own store' }),
    ...(fieldsStore === undefined ? {} : { fieldsStore }),
    ...(bus === undefined ? {} : { bus }),
  };
}

function embedded(options: CacheConnectionOptions, clock: Clock): SecondLevel {
  const own = options.server === undefined ? new EmbeddedCacheServer({ clock }) : undefined;
  const server = options.server ?? own;
  if (server === undefined) {
    throw new TypeError('There is no embedded server.');
  }
  return {
    store: new MemoryCacheStore(server),
    fieldsStore: new MemoryFieldsStore(server),
    bus: new MemoryInvalidationBus(server),
    description: 'embedded store (memory://)',
    close: async () => own?.close(),
  };
}

async function redis(options: CacheConnectionOptions, clock: Clock, random: Random): Promise<SecondLevel> {
  const {
    url,
    client,
    prefix = REDIS_CACHE_DEFAULTS.prefix,
    connectTimeoutMs = REDIS_CACHE_DEFAULTS.connectTimeoutMs,
    heartbeatMs = REDIS_CACHE_DEFAULTS.heartbeatMs,
  } = options;
  const { RedisCacheStore, RedisFieldsStore, RedisInvalidationBus, RedisLink, RedisTransactionServers } =
    await loadRedisAdapter();
  const link = new RedisLink({ url, client, prefix, connectTimeoutMs, heartbeatMs, clock, random });
  const bus = new RedisInvalidationBus(link, clock, heartbeatMs);
  await link.connect();
  return {
    store: new RedisCacheStore(link),
    fieldsStore: new RedisFieldsStore(link),
    bus,
    transactionServers: new RedisTransactionServers(link.servers, clock),
    description: link.description,
    onRecovery: (call) => link.onRecovery(call),
    close: () => link.close(),
  };
}
