import { many, message, type MessageOf, opt, req } from '../table/message-table.js';

const ENCRYPTION_KEY = message('EncryptionKeys', {
  key: req.string(1),
  value: req.bytes(2),
  metadata: many.properties(3),
});

/** What stands in clear with every stored entry. */
export const MESSAGE_METADATA = message('MessageMetadata', {
  producerName: req.string(1),
  sequenceId: req.i64(2),
  publishTimeMs: req.i53(3),
  properties: many.properties(4),
  replicatedFrom: opt.string(5),
  partitionKey: opt.string(6),
  replicateTo: many.string(7),
  compression: opt.u32(8),
  uncompressedSize: opt.u32(9),
  numMessagesInBatch: opt.i32(11),
  eventTimeMs: opt.i53(12),
  encryptionKeys: many.message(13, ENCRYPTION_KEY),
  encryptionAlgo: opt.string(14),
  encryptionParam: opt.bytes(15),
  schemaVersion: opt.bytes(16),
  partitionKeyB64Encoded: opt.bool(17),
  orderingKey: opt.bytes(18),
  deliverAtTimeMs: opt.i53(19),
  markerType: opt.i32(20),
  txnLeastBits: opt.i64(22),
  txnMostBits: opt.i64(23),
  highestSequenceId: opt.i64(24),
  nullValue: opt.bool(25),
  uuid: opt.string(26),
  numChunksFromMsg: opt.i32(27),
  totalChunkMsgSize: opt.i32(28),
  chunkId: opt.i32(29),
  nullPartitionKey: opt.bool(30),
  compactedBatchIndexes: many.i32(31),
  schemaId: opt.bytes(32),
});

/** What stands with every message of a batch. */
export const SINGLE_MESSAGE_METADATA = message('SingleMessageMetadata', {
  properties: many.properties(1),
  partitionKey: opt.string(2),
  payloadSize: req.u32(3),
  compactedOut: opt.bool(4),
  eventTimeMs: opt.i53(5),
  partitionKeyB64Encoded: opt.bool(6),
  orderingKey: opt.bytes(7),
  sequenceId: opt.i64(8),
  nullValue: opt.bool(9),
  nullPartitionKey: opt.bool(10),
});

/** What the broker adds to an entry when it is configured to. `index` is that of the entry's last message. */
export const BROKER_ENTRY_METADATA = message('BrokerEntryMetadata', {
  brokerTimestampMs: opt.i53(1),
  index: opt.i53(2),
});

/** Metadata of an entry, as decoded. */
export type MessageMetadata = MessageOf<typeof MESSAGE_METADATA>;

/** Metadata of one message in a batch, as decoded. */
export type SingleMessageMetadata = MessageOf<typeof SINGLE_MESSAGE_METADATA>;

/** What the broker added to an entry. */
export type BrokerEntryMetadata = MessageOf<typeof BROKER_ENTRY_METADATA>;
