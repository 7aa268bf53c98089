export {
  EMBEDDED_CACHE_SERVER_DEFAULTS,
  EmbeddedCacheServer,
  type EmbeddedCacheServerOptions,
  type EmbeddedCacheServerStats,
} from './embedded-cache.server.js';
export { EntryProtocol, type EntryState, type EntryWrite, type Life, type Step } from './entry.protocol.js';
export type { WhenFull } from './keyspace.js';
export { MemoryInvalidationBus } from './memory.bus.js';
export { MemoryChannelTransport } from './memory.channel-transport.js';
export { MemoryRecordStore } from './memory.record-store.js';
export { MemoryCacheStore } from './memory.store.js';
export { EmbeddedFields } from './fields/embedded-fields.js';
export {
  FieldsProtocol,
  type FieldsRequest,
  type FieldsStep,
  type HashContent,
  type HashField,
} from './fields/fields.protocol.js';
export { MemoryFieldsStore } from './fields/memory.fields-store.js';
