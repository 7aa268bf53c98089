export { AutoCache, type AutoLoader, type AutoSetEntry } from './cache/auto-cache.js';
export type { CacheHit, CacheLevel, LoadContext, Loaded, Loader } from './cache/cache-hit.js';
export type { EntryLives } from './cache/entry-lives.js';
export type { EntryOptions } from './cache/entry-options.js';
export type { CacheStats } from './cache/cache.stats.js';
export type { SetAllResult, SetManyEntry, SetManyResult } from './cache/many.js';
export { VersionedCache } from './cache/versioned-cache.js';
export type { VersionedCacheParts } from './cache/versioned-cache.parts.js';
export { CacheChannel, type CacheChannelParts } from './channel/cache.channel.js';
export { CACHE_TOPIC_DEFAULTS, type CacheTopic, type CacheTopicOptions, defineTopic } from './channel/cache-topic.js';
export {
  type ChannelContext,
  type ChannelGap,
  type ChannelHandler,
  type ChannelMessage,
  type ChannelStats,
  type ChannelSubscription,
  SUBSCRIBE_DEFAULTS,
  type SubscribeOptions,
} from './channel/channel-message.js';
export { type ChannelListener, ChannelTransport, type TransportSubscription } from './channel/channel.transport.js';
export { Cached, type CachedOptions } from './decorators/cached.decorator.js';
export { CachedValue } from './decorators/cached-value.decorator.js';
export { cacheChannelToken, InjectCacheChannel } from './decorators/inject-cache-channel.decorator.js';
export { InjectRedisTransactions, redisTransactionsToken } from './decorators/inject-redis-transactions.decorator.js';
export { cacheToken, InjectCache } from './decorators/inject-cache.decorator.js';
export type {
  CacheField,
  CacheFields,
  FieldChange,
  FieldOutcome,
  FieldsHit,
  FieldsLoader,
  LoadedFields,
  SetFieldsOptions,
  SetFieldsResult,
} from './fields/cache-fields.js';
export { VersionedFieldsCache, type VersionedFieldsCacheParts } from './fields/versioned-fields-cache.js';
export { RedisCacheProbe } from './health/redis-cache.probe.js';
export {
  type InvalidationAction,
  InvalidationBus,
  type InvalidationListener,
  type InvalidationMessage,
  type InvalidationSubscription,
} from './invalidation/invalidation.bus.js';
export { cacheKey, checkCacheKey } from './namespace/cache-key.js';
export { type CacheCodec, jsonCacheCodec } from './namespace/cache.codec.js';
export {
  type AutoCacheNamespace,
  CACHE_NAMESPACE_DEFAULTS,
  type CacheNamespace,
  type CacheNamespaceOptions,
  defineCache,
  type UntrustedPolicy,
  type Versioning,
} from './namespace/define-cache.js';
export {
  defineFieldsCache,
  FIELDS_NAMESPACE_DEFAULTS,
  type FieldsNamespace,
  type FieldsNamespaceOptions,
  type FieldsOptions,
} from './namespace/define-fields-cache.js';
export { openRecordStore, type RecordStoreOptions } from './records/open-record-store.js';
export { type RecordReply, RecordStore, type StoredRecord } from './records/record.store.js';
export {
  CacheChannelClosedError,
  CacheClosedError,
  CacheLoadTimeoutError,
  CacheOverloadedError,
  CachePayloadTooLargeError,
  CacheServerFullError,
  CacheStoreUnavailableError,
  CacheTooManyFieldsError,
  RedisClientMissingError,
  CacheValueNotEncodableError,
  InvalidCacheKeyError,
  InvalidEntryVersionError,
  UnknownCacheError,
  CrossSlotError,
  InvalidTransactionError,
  RedisTransactionConflictError,
  RedisTransactionRefusedError,
  RedisTransactionsBusyError,
  RedisTransactionsClosedError,
  RedisTransactionTimeoutError,
  RedisTransactionUnavailableError,
} from './redis-cache.errors.js';
export { RedisCacheModule } from './redis-cache.module.js';
export {
  type CacheConnectionOptions,
  REDIS_CACHE_DEFAULTS,
  type RedisCacheFeatureOptions,
  type RedisCacheModuleAsyncOptions,
  type RedisCacheModuleOptions,
  type RedisClientTemplate,
} from './redis-cache.options.js';
export { CACHE_INSTRUMENTS } from './redis-cache.telemetry.js';
export { type CacheAttributes, CacheRegistry, type ListedCache } from './registry/cache.registry.js';
export {
  CacheStore,
  type ChangeOutcome,
  type ChangeReply,
  type GivenVersion,
  type KeptValue,
  type LeaseReply,
  type SetAllReply,
  type SetOutcome,
  type SetReply,
  type StoredEntry,
  type StoredKeys,
  type StoreOrigin,
  type StoreRefresh,
  type StoreWrite,
  type SweepReply,
  type SweepRequest,
} from './store/cache.store.js';
export {
  FieldsStore,
  type FieldsWrite,
  type FieldWrite,
  hashStamp,
  type SetFieldsReply,
  type StoredField,
  type StoredFieldOutcome,
  type StoredFields,
} from './store/fields.store.js';
export { type FieldText, joinFields, splitFields } from './store/fields-text.js';
export {
  AbandonedTransaction,
  type CommandArgument,
  type QueuedResult,
  type RedisTransaction,
  type TransactionOutcome,
  type TransactionWork,
} from './transactions/redis-transaction.js';
export { RedisTransactions, type RedisTransactionsParts } from './transactions/redis.transactions.js';
export {
  RUN_TRANSACTION_DEFAULTS,
  type RunTransactionOptions,
  TRANSACTIONS_DEFAULTS,
  type TransactionsOptions,
} from './transactions/transaction-options.js';
export { TRANSACTION_ENDS, type TransactionEnd, type TransactionStats } from './transactions/transaction-stats.js';
export {
  type Command,
  type CommandReply,
  TransactionConnection,
  type TransactionRedirection,
  type TransactionServer,
  TransactionServers,
} from './transactions/transaction-servers.js';
export { EntryVersion } from './version/entry-version.js';
