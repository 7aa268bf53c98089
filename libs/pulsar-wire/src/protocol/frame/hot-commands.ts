import { MalformedFrameError } from '../../pulsar-wire.errors.js';
import { ByteReader } from '../bytes/byte-reader.js';
import type { ByteWriter } from '../bytes/byte-writer.js';
import { beginFrame, endSimpleFrame } from '../command/command-codec.js';

/**
 * The commands that come once per stored entry or per turn, by hand. Each writes the same bytes as its table in `command/`; a property
 * test holds them together.
 */

/** An entry to acknowledge, whole or in part. */
export interface AckPosition {
  readonly ledgerId: bigint;
  readonly entryId: bigint;
  /** What remains to be acknowledged: 32-bit halves of 64-bit words, the low one first. Undefined: nothing, the entry is done. */
  readonly ackSet?: Int32Array | undefined;
  /** Messages in the entry; with `ackSet`. */
  readonly batchSize?: number | undefined;
}

/** An acknowledgement of many entries. */
export interface AckFrame {
  readonly consumerId: number;
  /** `ACK_TYPE`. */
  readonly ackType: number;
  readonly positions: readonly AckPosition[];
  /** Why they could not be read, {@link CorruptEntryError}. */
  readonly validationError?: number | undefined;
  /** Asks for an ACK_RESPONSE. A broker that does not know the consumer never answers: put a timeout on it. */
  readonly requestId?: number | undefined;
}

/** What the broker says when it has stored an entry, or dropped it as a duplicate. */
export interface SendReceipt {
  readonly producerId: number;
  /** Of the first message of the entry. */
  readonly sequenceId: bigint;
  /** Of the last one; 0 from brokers that do not tell. */
  readonly highestSequenceId: bigint;
  /** −1: not stored, a duplicate, or a non-persistent topic. */
  readonly ledgerId: bigint;
  readonly entryId: bigint;
}

/** Where an entry came from: the command MESSAGE. */
export interface MessageHeader {
  readonly consumerId: number;
  readonly ledgerId: bigint;
  readonly entryId: bigint;
  /** −1 on a topic without partitions. */
  readonly partition: number;
  /** How often the entry was delivered before on this subscription. */
  readonly redeliveryCount: number;
  /** Which messages of the batch remain, bit i of 32-bit half i >> 5; undefined: all. */
  readonly ackSet: Int32Array | undefined;
  /** Undefined where the broker does not count epochs. */
  readonly consumerEpoch: number | undefined;
}

/** Appends PING. */
export function writePing(writer: ByteWriter): void {
  writeEmpty(writer, 18);
}

/** Appends PONG. */
export function writePong(writer: ByteWriter): void {
  writeEmpty(writer, 19);
}

function writeEmpty(writer: ByteWriter, type: number): void {
  const start = beginFrame(writer);
  writer.varint(8);
  writer.varint(type);
  writer.varint(type * 8 + 2);
  writer.varint(0);
  endSimpleFrame(writer, start);
}

/** Appends FLOW. Never with 0 permits: the broker closes the connection on it. */
export function writeFlow(writer: ByteWriter, consumerId: number, permits: number): void {
  const start = beginFrame(writer);
  writer.varint(0x08);
  writer.varint(11);
  writer.varint(0x5a);
  const mark = writer.beginLength();
  writer.varint(0x08);
  writer.varint(consumerId);
  writer.varint(0x10);
  writer.varint(permits);
  writer.endLength(mark);
  endSimpleFrame(writer, start);
}

/** Appends ACK. */
export function writeAck(writer: ByteWriter, ack: AckFrame): void {
  const start = beginFrame(writer);
  writer.varint(0x08);
  writer.varint(10);
  writer.varint(0x52);
  const mark = writer.beginLength();
  writer.varint(0x08);
  writer.varint(ack.consumerId);
  writer.varint(0x10);
  writer.varint(ack.ackType);
  for (const position of ack.positions) {
    writer.varint(0x1a);
    const inner = writer.beginLength();
    writer.varint(0x08);
    writer.i64(position.ledgerId);
    writer.varint(0x10);
    writer.i64(position.entryId);
    const bits = position.ackSet;
    if (bits !== undefined) {
      for (let index = 0; index + 1 < bits.length; index += 2) {
        writer.varint(0x28);
        writer.pair(bits[index]!, bits[index + 1]!);
      }
    }
    if (position.batchSize !== undefined) {
      writer.varint(0x30);
      writer.varint(position.batchSize);
    }
    writer.endLength(inner);
  }
  if (ack.validationError !== undefined) {
    writer.varint(0x20);
    writer.varint(ack.validationError);
  }
  if (ack.requestId !== undefined) {
    writer.varint(0x40);
    writer.varint(ack.requestId);
  }
  writer.endLength(mark);
  endSimpleFrame(writer, start);
}

/**
 * Decodes SEND_RECEIPT.
 *
 * @param start where the command's own message begins, see {@link findCommand}.
 * @throws {@link MalformedFrameError}
 */
export function decodeSendReceipt(bytes: Buffer, start: number, end: number): SendReceipt {
  const reader = new ByteReader(bytes, start, end);
  let producerId = -1;
  let sequenceId: bigint | undefined;
  let highestSequenceId = 0n;
  let ledgerId = -1n;
  let entryId = -1n;
  while (reader.position < end) {
    const tag = reader.u32();
    switch (tag) {
      case 0x08:
        producerId = reader.i53();
        break;
      case 0x10:
        sequenceId = reader.i64();
        break;
      case 0x1a: {
        const length = reader.length();
        reader.end = reader.position + length;
        while (reader.position < reader.end) {
          const inner = reader.u32();
          if (inner === 0x08) {
            ledgerId = reader.i64();
          } else if (inner === 0x10) {
            entryId = reader.i64();
          } else {
            reader.skip(inner & 7);
          }
        }
        reader.end = end;
        break;
      }
      case 0x20:
        highestSequenceId = reader.i64();
        break;
      default:
        reader.skip(tag & 7);
    }
  }
  if (sequenceId === undefined || producerId === -1) {
    throw new MalformedFrameError('a send receipt without producer or sequence id');
  }
  return { producerId, sequenceId, highestSequenceId, ledgerId, entryId };
}

/**
 * Decodes the command MESSAGE; the entry itself stands behind it, see {@link decodeEntry}.
 *
 * @param start where the command's own message begins, see {@link findCommand}.
 * @throws {@link MalformedFrameError}
 */
export function decodeMessageHeader(bytes: Buffer, start: number, end: number): MessageHeader {
  const reader = new ByteReader(bytes, start, end);
  let consumerId = -1;
  let ledgerId: bigint | undefined;
  let entryId: bigint | undefined;
  let partition = -1;
  let redeliveryCount = 0;
  let halves: number[] | undefined;
  let consumerEpoch: number | undefined;
  while (reader.position < end) {
    const tag = reader.u32();
    switch (tag) {
      case 0x08:
        consumerId = reader.i53();
        break;
      case 0x12: {
        const length = reader.length();
        reader.end = reader.position + length;
        while (reader.position < reader.end) {
          const inner = reader.u32();
          if (inner === 0x08) {
            ledgerId = reader.i64();
          } else if (inner === 0x10) {
            entryId = reader.i64();
          } else if (inner === 0x18) {
            partition = reader.i32();
          } else {
            reader.skip(inner & 7);
          }
        }
        reader.end = end;
        break;
      }
      case 0x18:
        redeliveryCount = reader.u32();
        break;
      case 0x20:
        reader.varint();
        (halves ??= []).push(reader.low, reader.high);
        break;
      case 0x22: {
        const length = reader.length();
        reader.end = reader.position + length;
        while (reader.position < reader.end) {
          reader.varint();
          (halves ??= []).push(reader.low, reader.high);
        }
        reader.end = end;
        break;
      }
      case 0x28:
        consumerEpoch = reader.i53();
        break;
      default:
        reader.skip(tag & 7);
    }
  }
  if (ledgerId === undefined || entryId === undefined || consumerId === -1) {
    throw new MalformedFrameError('a message without consumer or message id');
  }
  const ackSet = halves === undefined ? undefined : Int32Array.from(halves);
  return { consumerId, ledgerId, entryId, partition, redeliveryCount, ackSet, consumerEpoch };
}
