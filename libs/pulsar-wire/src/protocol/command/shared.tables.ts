import { many, message, opt, req } from '../table/message-table.js';

/** Where the last chunk's id names the first; flat, so that hostile bytes cannot nest. */
const CHUNK_ID = message('MessageIdData', {
  ledgerId: req.i64(1),
  entryId: req.i64(2),
  partition: opt.i32(3),
  batchIndex: opt.i32(4),
});

/** A message's place. Absent: partition −1, batch index −1. */
export const MESSAGE_ID = message('MessageIdData', {
  ledgerId: req.i64(1),
  entryId: req.i64(2),
  partition: opt.i32(3),
  batchIndex: opt.i32(4),
  ackSet: many.bits(5),
  batchSize: opt.i32(6),
  firstChunkMessageId: opt.message(7, CHUNK_ID),
});

/** A schema as the broker keeps it; `type` is a number of `Schema.Type`. */
export const SCHEMA = message('Schema', {
  name: req.string(1),
  data: req.bytes(3),
  type: req.u32(4),
  properties: many.properties(5),
});

/** What a side of the connection can do. */
export const FEATURE_FLAGS = message('FeatureFlags', {
  authRefresh: opt.bool(1),
  brokerEntryMetadata: opt.bool(2),
  partialProducer: opt.bool(3),
  topicWatchers: opt.bool(4),
  getPartitionedMetadataWithoutAutoCreation: opt.bool(5),
  replDedupByLidAndEid: opt.bool(6),
  topicWatcherReconcile: opt.bool(7),
});

/** A range of key hashes, both ends included, 0 to 65535. */
export const INT_RANGE = message('IntRange', { start: req.u32(1), end: req.u32(2) });

/** A number by name. */
export const KEY_LONG = message('KeyLongValue', { key: req.string(1), value: req.i64(2) });
