import { MalformedFrameError } from '../../pulsar-wire.errors.js';
import { ByteReader } from '../bytes/byte-reader.js';
import type { ByteWriter } from '../bytes/byte-writer.js';
import { readProperty, writeProperties } from '../bytes/properties.js';
import type { InputOf } from '../table/message-table.js';
import { readMessage, writeMessage } from '../table/table-codec.js';
import {
  type BrokerEntryMetadata,
  MESSAGE_METADATA,
  type MessageMetadata,
  type SingleMessageMetadata,
} from './metadata.tables.js';

const NO_LIST: readonly never[] = Object.freeze([]);

/** Metadata of an entry, to be encoded. */
export type MessageMetadataInput = InputOf<typeof MESSAGE_METADATA>;

/** Fields that only encryption, chunking, replication and transactions use: their metadata goes through the table. */
function isRare(metadata: MessageMetadataInput): boolean {
  return (
    metadata.encryptionKeys !== undefined ||
    metadata.encryptionAlgo !== undefined ||
    metadata.encryptionParam !== undefined ||
    metadata.replicatedFrom !== undefined ||
    metadata.replicateTo !== undefined ||
    metadata.markerType !== undefined ||
    metadata.txnLeastBits !== undefined ||
    metadata.txnMostBits !== undefined ||
    metadata.uuid !== undefined ||
    metadata.numChunksFromMsg !== undefined ||
    metadata.totalChunkMsgSize !== undefined ||
    metadata.chunkId !== undefined ||
    metadata.compactedBatchIndexes !== undefined ||
    metadata.schemaId !== undefined
  );
}

/** Writes the metadata of an entry, by hand where it is ordinary. */
export function writeMessageMetadata(writer: ByteWriter, metadata: MessageMetadataInput): void {
  if (isRare(metadata)) {
    writeMessage(writer, MESSAGE_METADATA, metadata);
    return;
  }
  writer.varint(0x0a);
  writer.string(metadata.producerName);
  writer.varint(0x10);
  writer.i64(metadata.sequenceId);
  writer.varint(0x18);
  writer.i53(metadata.publishTimeMs);
  if (metadata.properties !== undefined) {
    writeProperties(writer, 4, metadata.properties);
  }
  if (metadata.partitionKey !== undefined) {
    writer.varint(0x32);
    writer.string(metadata.partitionKey);
  }
  if (metadata.compression !== undefined) {
    writer.varint(0x40);
    writer.varint(metadata.compression);
  }
  if (metadata.uncompressedSize !== undefined) {
    writer.varint(0x48);
    writer.varint(metadata.uncompressedSize);
  }
  if (metadata.numMessagesInBatch !== undefined) {
    writer.varint(0x58);
    writer.varint(metadata.numMessagesInBatch);
  }
  if (metadata.eventTimeMs !== undefined) {
    writer.varint(0x60);
    writer.i53(metadata.eventTimeMs);
  }
  if (metadata.schemaVersion !== undefined) {
    writer.varint(0x82);
    writer.blob(metadata.schemaVersion);
  }
  if (metadata.partitionKeyB64Encoded !== undefined) {
    writer.varint(0x88);
    writer.varint(metadata.partitionKeyB64Encoded ? 1 : 0);
  }
  if (metadata.orderingKey !== undefined) {
    writer.varint(0x92);
    writer.blob(metadata.orderingKey);
  }
  if (metadata.deliverAtTimeMs !== undefined) {
    writer.varint(0x98);
    writer.i53(metadata.deliverAtTimeMs);
  }
  if (metadata.highestSequenceId !== undefined) {
    writer.varint(0xc0);
    writer.i64(metadata.highestSequenceId);
  }
  if (metadata.nullValue !== undefined) {
    writer.varint(0xc8);
    writer.varint(metadata.nullValue ? 1 : 0);
  }
  if (metadata.nullPartitionKey !== undefined) {
    writer.varint(0xf0);
    writer.varint(metadata.nullPartitionKey ? 1 : 0);
  }
}

/** Reads the metadata of an entry: by hand, and once more by the table when something rare stands in it. */
export function readMessageMetadata(bytes: Buffer, start: number, end: number): MessageMetadata {
  const reader = new ByteReader(bytes, start, end);
  const properties: Record<string, string> = {};
  let producerName: string | undefined;
  let sequenceId: bigint | undefined;
  let publishTimeMs: number | undefined;
  let partitionKey: string | undefined;
  let compression: number | undefined;
  let uncompressedSize: number | undefined;
  let numMessagesInBatch: number | undefined;
  let eventTimeMs: number | undefined;
  let schemaVersion: Uint8Array | undefined;
  let partitionKeyB64Encoded: boolean | undefined;
  let orderingKey: Uint8Array | undefined;
  let deliverAtTimeMs: number | undefined;
  let highestSequenceId: bigint | undefined;
  let nullValue: boolean | undefined;
  let nullPartitionKey: boolean | undefined;
  while (reader.position < end) {
    const tag = reader.u32();
    switch (tag) {
      case 0x0a:
        producerName = reader.string();
        break;
      case 0x10:
        sequenceId = reader.i64();
        break;
      case 0x18:
        publishTimeMs = reader.i53();
        break;
      case 0x22:
        readProperty(reader, properties);
        break;
      case 0x32:
        partitionKey = reader.string();
        break;
      case 0x40:
        compression = reader.u32();
        break;
      case 0x48:
        uncompressedSize = reader.u32();
        break;
      case 0x58:
        numMessagesInBatch = reader.i32();
        break;
      case 0x60:
        eventTimeMs = reader.i53();
        break;
      case 0x82:
        schemaVersion = reader.copy();
        break;
      case 0x88:
        partitionKeyB64Encoded = reader.bool();
        break;
      case 0x92:
        orderingKey = reader.copy();
        break;
      case 0x98:
        deliverAtTimeMs = reader.i53();
        break;
      case 0xc0:
        highestSequenceId = reader.i64();
        break;
      case 0xc8:
        nullValue = reader.bool();
        break;
      case 0xf0:
        nullPartitionKey = reader.bool();
        break;
      default:
        return readMessage(reader.reset(bytes, start, end), MESSAGE_METADATA);
    }
  }
  if (producerName === undefined || sequenceId === undefined || publishTimeMs === undefined) {
    throw new MalformedFrameError('message metadata without producer name, sequence id or publish time');
  }
  return {
    producerName,
    sequenceId,
    publishTimeMs,
    properties,
    partitionKey,
    replicateTo: NO_LIST,
    compression,
    uncompressedSize,
    numMessagesInBatch,
    eventTimeMs,
    encryptionKeys: NO_LIST,
    schemaVersion,
    partitionKeyB64Encoded,
    orderingKey,
    deliverAtTimeMs,
    highestSequenceId,
    nullValue,
    nullPartitionKey,
    compactedBatchIndexes: NO_LIST,
  };
}

/** Reads the metadata of one message of a batch. */
export function readSingleMessageMetadata(bytes: Buffer, start: number, end: number): SingleMessageMetadata {
  const reader = new ByteReader(bytes, start, end);
  const properties: Record<string, string> = {};
  let partitionKey: string | undefined;
  let payloadSize = -1;
  let compactedOut: boolean | undefined;
  let eventTimeMs: number | undefined;
  let partitionKeyB64Encoded: boolean | undefined;
  let orderingKey: Uint8Array | undefined;
  let sequenceId: bigint | undefined;
  let nullValue: boolean | undefined;
  let nullPartitionKey: boolean | undefined;
  while (reader.position < end) {
    const tag = reader.u32();
    switch (tag) {
      case 0x0a:
        readProperty(reader, properties);
        break;
      case 0x12:
        partitionKey = reader.string();
        break;
      case 0x18:
        payloadSize = reader.u32();
        break;
      case 0x20:
        compactedOut = reader.bool();
        break;
      case 0x28:
        eventTimeMs = reader.i53();
        break;
      case 0x30:
        partitionKeyB64Encoded = reader.bool();
        break;
      case 0x3a:
        orderingKey = reader.copy();
        break;
      case 0x40:
        sequenceId = reader.i64();
        break;
      case 0x48:
        nullValue = reader.bool();
        break;
      case 0x50:
        nullPartitionKey = reader.bool();
        break;
      default:
        reader.skip(tag & 7);
    }
  }
  if (payloadSize < 0) {
    throw new MalformedFrameError('a message of a batch without a payload size');
  }
  return {
    properties,
    partitionKey,
    payloadSize,
    compactedOut,
    eventTimeMs,
    partitionKeyB64Encoded,
    orderingKey,
    sequenceId,
    nullValue,
    nullPartitionKey,
  };
}

/** Reads what the broker added to an entry. */
export function readBrokerEntryMetadata(bytes: Buffer, start: number, end: number): BrokerEntryMetadata {
  const reader = new ByteReader(bytes, start, end);
  let brokerTimestampMs: number | undefined;
  let index: number | undefined;
  while (reader.position < end) {
    const tag = reader.u32();
    if (tag === 0x08) {
      brokerTimestampMs = reader.i53();
    } else if (tag === 0x10) {
      index = reader.i53();
    } else {
      reader.skip(tag & 7);
    }
  }
  return { brokerTimestampMs, index };
}
