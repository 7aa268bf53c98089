export { RedisCacheStore } from './entries/redis.cache-store.js';
export { RedisChannelTransport } from './messages/redis.channel-transport.js';
export { RedisInvalidationBus } from './messages/redis.invalidation-bus.js';
export { RedisLink, type RedisLinkOptions } from './connection/redis.link.js';
export { RedisRecordStore, type RedisRecordStoreParts } from './entries/redis.record-store.js';
export { RedisFieldsStore } from './fields/redis.fields-store.js';
export { RedisTransactionServers } from './transactions/redis.transaction-servers.js';
