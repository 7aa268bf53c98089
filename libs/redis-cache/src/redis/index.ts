export { RedisCacheStore } from './redis.cache-store.js';
export { RedisChannelTransport } from './redis.channel-transport.js';
export { RedisInvalidationBus } from './redis.invalidation-bus.js';
export { RedisLink, type RedisLinkOptions } from './redis.link.js';
export { RedisRecordStore, type RedisRecordStoreParts } from './redis.record-store.js';
