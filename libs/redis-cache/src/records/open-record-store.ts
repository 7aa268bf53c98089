import { checkOptions, type Clock, type Random, SystemClock, SystemRandom } from '@smartpulse/resilience';
import { z } from 'zod';
import { MemoryRecordStore } from '../embedded/memory.record-store.js';
import { loadRedisAdapter } from '../registry/load-redis-adapter.js';
import { checkRedisCacheOptions, REDIS_CACHE_DEFAULTS, type RedisClientTemplate } from '../redis-cache.options.js';
import type { RecordStore } from './record.store.js';

/** The options of {@link openRecordStore}. */
export interface RecordStoreOptions {
  /** `memory://`, or a URL that `RedisCacheModule.forRoot` takes. Required, or `client`. */
  readonly url?: string | undefined;
  /** A client of `ioredis` that the app has: duplicated, and left alone otherwise. */
  readonly client?: RedisClientTemplate | undefined;
  /** In front of every name; required outside `memory://`. */
  readonly prefix?: string | undefined;
  /** How long the first connection may take, milliseconds. Default 5 000. */
  readonly connectTimeoutMs?: number | undefined;
  /** In Redis: life of a record from its last write, milliseconds, for what is of no use after a while. Default: none, it stays. */
  readonly lifeMs?: number | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Default: the machine's. */
  readonly random?: Random | undefined;
}

const LIFE = 'expected whole milliseconds of at least 1';
const lifeSchema = z.strictObject({ lifeMs: z.int(LIFE).min(1, LIFE).optional() });

/** Longest wait for one answer. */
const TIMEOUT_MS = 2_000;

/**
 * Opens records, on connections of their own: without Nest, because what they hold may be needed before there is an app. Whoever opened them closes them,
 * after the apps.
 *
 * @throws ConfigurationError for wrong options; CacheStoreUnavailableError when Redis cannot be reached; RedisClientMissingError without its package.
 * @example
 * ```ts
 * const records = await openRecordStore({ url: 'redis://cache:6379', prefix: 'shop' });
 * ```
 */
export async function openRecordStore(options: RecordStoreOptions): Promise<RecordStore> {
  const { clock = new SystemClock(), random = new SystemRandom(), lifeMs, ...rest } = options;
  checkOptions('openRecordStore', lifeSchema, { lifeMs });
  const checked = checkRedisCacheOptions('openRecordStore', rest);
  if (checked.url?.startsWith('memory:') === true) {
    return new MemoryRecordStore();
  }
  const { prefix = REDIS_CACHE_DEFAULTS.prefix, connectTimeoutMs = REDIS_CACHE_DEFAULTS.connectTimeoutMs } = checked;
  const { RedisLink, RedisRecordStore } = await loadRedisAdapter();
  const { heartbeatMs } = REDIS_CACHE_DEFAULTS;
  const link = new RedisLink({
    url: checked.url,
    client: checked.client,
    prefix,
    connectTimeoutMs,
    heartbeatMs,
    clock,
    random,
  });
  await link.connect();
  return new RedisRecordStore({ link, prefix, timeoutMs: TIMEOUT_MS, lifeMs, clock });
}
