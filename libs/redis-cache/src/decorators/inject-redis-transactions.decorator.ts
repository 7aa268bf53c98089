import { Inject, type InjectionToken } from '@nestjs/common';
import { DEFAULT_CONNECTION } from '../registry/connection-options.js';
import { RedisTransactions } from '../transactions/redis.transactions.js';

/** The injection token of the transactions of a connection. It reads as what is missing where a module asks for it without having it. */
export function redisTransactionsToken(connection: string): InjectionToken<RedisTransactions> {
  return connection === DEFAULT_CONNECTION
    ? RedisTransactions
    : `RedisTransactions of the connection "${connection}", which RedisCacheModule.forFeature([], { connection: "${connection}" }) provides`;
}

/**
 * Injects the {@link RedisTransactions} of a named connection, in a module that imports `RedisCacheModule.forFeature(namespaces, { connection })`. Those of the default
 * connection are injected by their class.
 *
 * @throws ConfigurationError at start, when there is no such connection, or it leads to no Redis.
 * @example
 * ```ts
 * constructor(@InjectRedisTransactions('reports') private readonly transactions: RedisTransactions) {}
 * ```
 */
export function InjectRedisTransactions(connection: string): ReturnType<typeof Inject> {
  return Inject(redisTransactionsToken(connection));
}
