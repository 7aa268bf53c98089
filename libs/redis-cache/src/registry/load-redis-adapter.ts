import type * as RedisAdapter from '../redis/index.js';
import { RedisClientMissingError } from '../redis-cache.errors.js';

/**
 * The adapter loads `ioredis`, which only those have who need it.
 *
 * @throws {@link RedisClientMissingError}
 */
export async function loadRedisAdapter(): Promise<typeof RedisAdapter> {
  try {
    return await import('../redis/index.js');
  } catch (cause) {
    throw new RedisClientMissingError(cause);
  }
}
