import { MessageTooLargeError } from '../../pulsar-wire.errors.js';
import { ByteWriter, freshMemory, type TakeMemory } from '../bytes/byte-writer.js';
import { crc32c } from '../checksum/crc32c.js';
import { beginFrame } from '../command/command-codec.js';
import { CHECKSUM_MAGIC } from '../entry/entry.js';
import { type MessageMetadataInput, writeMessageMetadata } from '../metadata/metadata-codec.js';
import { FRAME_HEADROOM_BYTES } from './frame-reader.js';

/** The command SEND and the metadata of its entry. */
export interface SendHeader {
  readonly producerId: number;
  /** Of the first message of the entry. */
  readonly sequenceId: bigint;
  /** Of the last message of a batch. */
  readonly highestSequenceId?: bigint | undefined;
  /** Messages in the entry; the broker counts rates with it. */
  readonly numMessages?: number | undefined;
  readonly txnLeastBits?: bigint | undefined;
  readonly txnMostBits?: bigint | undefined;
  readonly isChunk?: boolean | undefined;
  readonly metadata: MessageMetadataInput;
}

/**
 * Makes SEND frames: one contiguous piece each, checksum included, to be written once and kept until its receipt. Owned by one producer;
 * it keeps a scratch buffer for the headers.
 */
export class SendFrameEncoder {
  readonly #header = new ByteWriter(512);
  readonly #memory: TakeMemory;

  /** @param memory where the frames' bytes come from. */
  constructor(memory: TakeMemory = freshMemory) {
    this.#memory = memory;
  }

  /**
   * A frame around a payload, which is copied.
   *
   * @param maxMessageBytes the broker's limit from CONNECTED.
   * @throws {@link MessageTooLargeError}: the broker would close the whole connection on such a frame.
   */
  encode(send: SendHeader, payload: Uint8Array, maxMessageBytes: number): Buffer {
    const checksumAt = this.#writeHeader(send, payload.length, maxMessageBytes);
    const headerBytes = this.#header.position;
    const frame = this.#memory(headerBytes + payload.length).subarray(0, headerBytes + payload.length);
    this.#header.bytes.copy(frame, 0, 0, headerBytes);
    frame.set(payload, headerBytes);
    return withChecksum(frame, checksumAt);
  }

  /**
   * As {@link encode}, around a payload that lies at `buffer[start, end)` with free room in front of it: nothing of the payload is
   * copied when the header fits there.
   */
  encodeInPlace(send: SendHeader, buffer: Buffer, start: number, end: number, maxMessageBytes: number): Buffer {
    const checksumAt = this.#writeHeader(send, end - start, maxMessageBytes);
    const headerBytes = this.#header.position;
    if (headerBytes > start) {
      return this.encode(send, buffer.subarray(start, end), maxMessageBytes);
    }
    this.#header.bytes.copy(buffer, start - headerBytes, 0, headerBytes);
    return withChecksum(buffer.subarray(start - headerBytes, end), checksumAt);
  }

  /** Answers where the checksum goes; it covers everything behind itself. */
  #writeHeader(send: SendHeader, payloadBytes: number, maxMessageBytes: number): number {
    if (payloadBytes > maxMessageBytes) {
      throw new MessageTooLargeError(payloadBytes, maxMessageBytes);
    }
    const writer = this.#header;
    writer.position = 0;
    const start = beginFrame(writer);
    writeSendCommand(writer, send);
    writer.patch32(start + 4, writer.position - start - 8);
    writer.reserve(10);
    writer.bytes[writer.position++] = CHECKSUM_MAGIC >> 8;
    writer.bytes[writer.position++] = CHECKSUM_MAGIC & 0xff;
    const checksumAt = writer.position;
    writer.position += 8;
    writeMessageMetadata(writer, send.metadata);
    writer.patch32(checksumAt + 4, writer.position - checksumAt - 8);
    const frameBytes = writer.position - 4 + payloadBytes;
    if (frameBytes > maxMessageBytes + FRAME_HEADROOM_BYTES) {
      throw new MessageTooLargeError(frameBytes - FRAME_HEADROOM_BYTES, maxMessageBytes);
    }
    writer.patch32(start, frameBytes);
    return checksumAt;
  }
}

function withChecksum(frame: Buffer, checksumAt: number): Buffer {
  const checksum = crc32c(frame, checksumAt + 4);
  frame[checksumAt] = checksum >>> 24;
  frame[checksumAt + 1] = (checksum >>> 16) & 0xff;
  frame[checksumAt + 2] = (checksum >>> 8) & 0xff;
  frame[checksumAt + 3] = checksum & 0xff;
  return frame;
}

function writeSendCommand(writer: ByteWriter, send: SendHeader): void {
  writer.varint(0x08);
  writer.varint(6);
  writer.varint(0x32);
  const mark = writer.beginLength();
  writer.varint(0x08);
  writer.varint(send.producerId);
  writer.varint(0x10);
  writer.i64(send.sequenceId);
  if (send.numMessages !== undefined) {
    writer.varint(0x18);
    writer.varint(send.numMessages);
  }
  if (send.txnLeastBits !== undefined) {
    writer.varint(0x20);
    writer.i64(send.txnLeastBits);
  }
  if (send.txnMostBits !== undefined) {
    writer.varint(0x28);
    writer.i64(send.txnMostBits);
  }
  if (send.highestSequenceId !== undefined) {
    writer.varint(0x30);
    writer.i64(send.highestSequenceId);
  }
  if (send.isChunk !== undefined) {
    writer.varint(0x38);
    writer.varint(send.isChunk ? 1 : 0);
  }
  writer.endLength(mark);
}
