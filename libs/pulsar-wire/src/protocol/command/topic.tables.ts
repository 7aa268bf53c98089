import { many, message, opt, req } from '../table/message-table.js';
import { SCHEMA } from './shared.tables.js';

export const PARTITIONED_METADATA = message('CommandPartitionedTopicMetadata', {
  topic: req.string(1),
  requestId: req.i53(2),
  originalPrincipal: opt.string(3),
  originalAuthData: opt.string(4),
  originalAuthMethod: opt.string(5),
  metadataAutoCreationEnabled: opt.bool(6),
});

export const PARTITIONED_METADATA_RESPONSE = message('CommandPartitionedTopicMetadataResponse', {
  partitions: opt.u32(1),
  requestId: req.i53(2),
  response: opt.u32(3),
  error: opt.u32(4),
  message: opt.string(5),
});

export const LOOKUP = message('CommandLookupTopic', {
  topic: req.string(1),
  requestId: req.i53(2),
  authoritative: opt.bool(3),
  originalPrincipal: opt.string(4),
  originalAuthData: opt.string(5),
  originalAuthMethod: opt.string(6),
  advertisedListenerName: opt.string(7),
  properties: many.properties(8),
});

export const LOOKUP_RESPONSE = message('CommandLookupTopicResponse', {
  brokerServiceUrl: opt.string(1),
  brokerServiceUrlTls: opt.string(2),
  response: opt.u32(3),
  requestId: req.i53(4),
  authoritative: opt.bool(5),
  error: opt.u32(6),
  message: opt.string(7),
  proxyThroughServiceUrl: opt.bool(8),
});

export const GET_TOPICS = message('CommandGetTopicsOfNamespace', {
  requestId: req.i53(1),
  namespace: req.string(2),
  mode: opt.u32(3),
  topicsPattern: opt.string(4),
  topicsHash: opt.string(5),
  properties: many.properties(6),
});

export const GET_TOPICS_RESPONSE = message('CommandGetTopicsOfNamespaceResponse', {
  requestId: req.i53(1),
  topics: many.string(2),
  filtered: opt.bool(3),
  topicsHash: opt.string(4),
  changed: opt.bool(5),
});

export const WATCH_TOPIC_LIST = message('CommandWatchTopicList', {
  requestId: req.i53(1),
  watcherId: req.i53(2),
  namespace: req.string(3),
  topicsPattern: req.string(4),
  topicsHash: opt.string(5),
});

export const WATCH_TOPIC_LIST_SUCCESS = message('CommandWatchTopicListSuccess', {
  requestId: req.i53(1),
  watcherId: req.i53(2),
  topics: many.string(3),
  topicsHash: req.string(4),
});

export const WATCH_TOPIC_UPDATE = message('CommandWatchTopicUpdate', {
  watcherId: req.i53(1),
  newTopics: many.string(2),
  deletedTopics: many.string(3),
  topicsHash: req.string(4),
});

export const WATCH_TOPIC_LIST_CLOSE = message('CommandWatchTopicListClose', {
  requestId: req.i53(1),
  watcherId: req.i53(2),
});

export const GET_SCHEMA = message('CommandGetSchema', {
  requestId: req.i53(1),
  topic: req.string(2),
  schemaVersion: opt.bytes(3),
});

export const GET_SCHEMA_RESPONSE = message('CommandGetSchemaResponse', {
  requestId: req.i53(1),
  error: opt.u32(2),
  message: opt.string(3),
  schema: opt.message(4, SCHEMA),
  schemaVersion: opt.bytes(5),
});

export const GET_OR_CREATE_SCHEMA = message('CommandGetOrCreateSchema', {
  requestId: req.i53(1),
  topic: req.string(2),
  schema: req.message(3, SCHEMA),
});

export const GET_OR_CREATE_SCHEMA_RESPONSE = message('CommandGetOrCreateSchemaResponse', {
  requestId: req.i53(1),
  error: opt.u32(2),
  message: opt.string(3),
  schemaVersion: opt.bytes(4),
});

export const TOPIC_MIGRATED = message('CommandTopicMigrated', {
  resourceId: req.i53(1),
  resourceType: req.u32(2),
  brokerServiceUrl: opt.string(3),
  brokerServiceUrlTls: opt.string(4),
});
