import { ByteWriter, freshMemory, type TakeMemory } from '../bytes/byte-writer.js';
import { writeProperties } from '../bytes/properties.js';
import type { Compressor } from '../compression/compressor.js';
import { COMPRESSION } from '../compression/compression.js';
import type { SendFrameEncoder, SendHeader } from '../frame/send-frame.js';

/** Free bytes in front of the messages, for the header of the frame. */
const HEADROOM_BYTES = 512;

/** One message on its way into a batch. */
export interface BatchMessage {
  /** `null`: a tombstone, which deletes the key on a compacted topic. */
  readonly payload: Uint8Array | null;
  readonly key?: string | undefined;
  /** The key is binary and `key` is its base64. */
  readonly keyIsBase64?: boolean | undefined;
  readonly orderingKey?: Uint8Array | undefined;
  readonly properties?: Readonly<Record<string, string>> | undefined;
  readonly eventTimeMs?: number | undefined;
  readonly sequenceId?: bigint | undefined;
}

/** What a batch is finished with; count and sizes are the batch's own. */
export type BatchHeader = Omit<SendHeader, 'numMessages'>;

/**
 * Messages put one behind the other into the buffer that becomes the frame. Owned by one producer and used again for the next batch; the
 * frame that {@link finish} answers is given away and never touched again.
 */
export class BatchWriter {
  readonly #maxBytes: number;
  readonly #memory: TakeMemory;
  readonly #giveBack: (bytes: Buffer) => void;
  /** None while the batch is empty: of many keys most have none, and their memory is the others'. */
  #writer: ByteWriter | undefined;
  #lastBytes: number;
  #count = 0;

  /**
   * @param maxBytes the largest batch in bytes, before compression; a first message is taken whatever its size.
   * @param initialBytes the room to begin with; later batches begin with what the last one needed.
   * @param memory where the frames' bytes come from.
   * @param giveBack told of memory that no frame lies in: what a batch was put together in that was compressed.
   */
  constructor(
    maxBytes: number,
    initialBytes = 4_096,
    memory: TakeMemory = freshMemory,
    giveBack: (bytes: Buffer) => void = () => {},
  ) {
    this.#maxBytes = maxBytes;
    this.#memory = memory;
    this.#giveBack = giveBack;
    this.#lastBytes = initialBytes;
  }

  /** Messages in the batch. */
  get count(): number {
    return this.#count;
  }

  /** Bytes in the batch, with what stands around each message. */
  get bytes(): number {
    return this.#writer === undefined ? 0 : this.#writer.position - HEADROOM_BYTES;
  }

  /** Adds a message; `false`: it does not fit any more, finish the batch first. The payload is copied. */
  tryAdd(message: BatchMessage): boolean {
    const writer = (this.#writer ??= this.#fresh());
    const start = writer.position;
    const payload = message.payload ?? NOTHING;
    if (this.#count > 0 && start - HEADROOM_BYTES + payload.length > this.#maxBytes) {
      return false;
    }
    try {
      writer.reserve(4);
      writer.position = start + 4;
      writeSingle(writer, message, payload.length);
      writer.patch32(start, writer.position - start - 4);
      writer.raw(payload);
    } catch (error) {
      writer.position = start;
      throw error;
    }
    if (this.#count > 0 && writer.position - HEADROOM_BYTES > this.#maxBytes) {
      writer.position = start;
      return false;
    }
    this.#count++;
    return true;
  }

  /**
   * The batch as a SEND frame; the writer is empty afterwards, also when it throws.
   *
   * @param header `metadata.numMessagesInBatch`, `uncompressedSize` and `compression` are filled in.
   * @param compression `COMPRESSION`; 0 for none.
   * @throws {@link MessageTooLargeError}
   */
  finish(
    frames: SendFrameEncoder,
    header: BatchHeader,
    maxMessageBytes: number,
    compressor?: Compressor,
    compression: number = COMPRESSION.none,
  ): Buffer {
    const writer = this.#writer ?? this.#fresh();
    const { bytes: buffer, position: end } = writer;
    const count = this.#count;
    const size = end - HEADROOM_BYTES;
    this.#lastBytes = end;
    this.#count = 0;
    const compressed = compression !== COMPRESSION.none && compressor !== undefined;
    this.#writer = undefined;
    const send: SendHeader = {
      ...header,
      numMessages: count,
      metadata: {
        ...header.metadata,
        compression: compressed ? compression : undefined,
        uncompressedSize: size,
        numMessagesInBatch: count,
      },
    };
    if (!compressed) {
      return frames.encodeInPlace(send, buffer, HEADROOM_BYTES, end, maxMessageBytes);
    }
    try {
      const payload = compressor.compress(compression, buffer.subarray(HEADROOM_BYTES, end));
      return frames.encode(send, payload, maxMessageBytes);
    } finally {
      this.#giveBack(buffer);
    }
  }

  /** Forgets what was added. */
  clear(): void {
    if (this.#writer !== undefined) {
      this.#writer.position = HEADROOM_BYTES;
    }
    this.#count = 0;
  }

  #fresh(): ByteWriter {
    const writer = new ByteWriter(Math.max(HEADROOM_BYTES * 2, this.#lastBytes), this.#memory);
    writer.position = HEADROOM_BYTES;
    return writer;
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);

function writeSingle(writer: ByteWriter, message: BatchMessage, payloadBytes: number): void {
  if (message.properties !== undefined) {
    writeProperties(writer, 1, message.properties);
  }
  if (message.key !== undefined) {
    writer.varint(0x12);
    writer.string(message.key);
  }
  writer.varint(0x18);
  writer.varint(payloadBytes);
  if (message.eventTimeMs !== undefined) {
    writer.varint(0x28);
    writer.i53(message.eventTimeMs);
  }
  if (message.keyIsBase64 !== undefined) {
    writer.varint(0x30);
    writer.varint(message.keyIsBase64 ? 1 : 0);
  }
  if (message.orderingKey !== undefined) {
    writer.varint(0x3a);
    writer.blob(message.orderingKey);
  }
  if (message.sequenceId !== undefined) {
    writer.varint(0x40);
    writer.i64(message.sequenceId);
  }
  if (message.payload === null) {
    writer.varint(0x48);
    writer.varint(1);
  }
}
