import { CorruptEntryError, MalformedFrameError } from '../../pulsar-wire.errors.js';
import { ByteReader } from '../bytes/byte-reader.js';
import { readSingleMessageMetadata } from '../metadata/metadata-codec.js';
import type { SingleMessageMetadata } from '../metadata/metadata.tables.js';

/** Fields that say more of a key than its text does: it is base64, there is an ordering key, it is none at all. */
const BINARY_KEY = 0x30;
const ORDERING_KEY = 0x3a;
const NULL_KEY = 0x50;

/** One message of a batch: a view, whose metadata is decoded when it is first asked for. */
export class BatchedMessage {
  readonly #bytes: Buffer;
  readonly #metadataStart: number;
  readonly #payloadStart: number;
  readonly #end: number;
  readonly #keyStart: number;
  readonly #keyEnd: number;
  #metadata: SingleMessageMetadata | undefined;

  /**
   * @param index its place in the batch.
   * @param isTombstone it has no value: a delete on a compacted topic, not an empty payload.
   * @param isCompactedOut compaction removed it: not to be handed out, but to be counted.
   * @param bytes the batch.
   * @param metadataStart where its metadata begins.
   * @param payloadStart where its payload begins.
   * @param end behind its payload.
   * @param isPlainlyKeyed its key, if it has one, is a text as it stands there, and it has no ordering key: {@link plainKey} says it all.
   * @param keyStart where its key begins.
   * @param keyEnd behind its key; 0: it has none.
   */
  constructor(
    readonly index: number,
    readonly isTombstone: boolean,
    readonly isCompactedOut: boolean,
    bytes: Buffer,
    metadataStart: number,
    payloadStart: number,
    end: number,
    readonly isPlainlyKeyed: boolean,
    keyStart: number,
    keyEnd: number,
  ) {
    this.#bytes = bytes;
    this.#metadataStart = metadataStart;
    this.#payloadStart = payloadStart;
    this.#end = end;
    this.#keyStart = keyStart;
    this.#keyEnd = keyEnd;
  }

  /** Its key, without decoding the rest of its metadata; of use only where it {@link isPlainlyKeyed}. */
  get plainKey(): string | undefined {
    return this.#keyEnd === 0 ? undefined : this.#bytes.toString('utf8', this.#keyStart, this.#keyEnd);
  }

  /** A view: it keeps the whole batch alive. */
  get payload(): Buffer {
    return this.#bytes.subarray(this.#payloadStart, this.#end);
  }

  /** Key, properties and times. */
  get metadata(): SingleMessageMetadata {
    return (this.#metadata ??= readSingleMessageMetadata(this.#bytes, this.#metadataStart, this.#payloadStart));
  }
}

/**
 * Takes a batch apart, message by message, without copying.
 *
 * @example
 * ```ts
 * const batch = new BatchReader(payload, metadata.numMessagesInBatch ?? 1);
 * for (let message = batch.next(); message !== undefined; message = batch.next()) handle(message);
 * ```
 */
export class BatchReader {
  readonly #reader: ByteReader;
  readonly #count: number;
  #index = 0;

  /**
   * @param payload the batch without compression.
   * @param count how many messages it announces.
   * @throws {@link CorruptEntryError} when so many cannot be in so few bytes.
   */
  constructor(payload: Buffer, count: number) {
    // A message takes at least its size (4 bytes) and the size of its payload (2 bytes).
    if (count < 0 || count * 6 > payload.length) {
      throw new CorruptEntryError('batch', `${payload.length} bytes announce ${count} messages`);
    }
    this.#reader = new ByteReader(payload);
    this.#count = count;
  }

  /** Messages that the batch announces. */
  get count(): number {
    return this.#count;
  }

  /**
   * The next message; undefined after the last one.
   *
   * @throws {@link CorruptEntryError} when the bytes are no message.
   */
  next(): BatchedMessage | undefined {
    if (this.#index >= this.#count) {
      return undefined;
    }
    try {
      return this.#read(this.#index++);
    } catch (error) {
      this.#index = this.#count;
      throw MalformedFrameError.is(error)
        ? new CorruptEntryError('batch', 'a message of the batch is malformed', error)
        : error;
    }
  }

  #read(index: number): BatchedMessage {
    const reader = this.#reader;
    const size = reader.fixed32();
    const metadataStart = reader.position;
    const payloadStart = metadataStart + size;
    const { end } = reader;
    if (payloadStart > end) {
      throw new MalformedFrameError('metadata goes past the end of the batch');
    }
    let payloadBytes = -1;
    let compactedOut = false;
    let tombstone = false;
    let isPlainlyKeyed = true;
    let keyStart = 0;
    let keyEnd = 0;
    reader.end = payloadStart;
    while (reader.position < payloadStart) {
      const tag = reader.u32();
      switch (tag) {
        case 0x12: {
          const length = reader.length();
          keyStart = reader.position;
          keyEnd = keyStart + length;
          reader.position = keyEnd;
          break;
        }
        case 0x18:
          payloadBytes = reader.u32();
          break;
        case 0x20:
          compactedOut = reader.bool();
          break;
        case 0x48:
          tombstone = reader.bool();
          break;
        default:
          isPlainlyKeyed &&= tag !== BINARY_KEY && tag !== ORDERING_KEY && tag !== NULL_KEY;
          reader.skip(tag & 7);
      }
    }
    reader.end = end;
    if (payloadBytes < 0 || payloadBytes > end - payloadStart) {
      throw new MalformedFrameError('a payload goes past the end of the batch');
    }
    reader.position = payloadStart + payloadBytes;
    return new BatchedMessage(
      index,
      tombstone,
      compactedOut,
      reader.bytes,
      metadataStart,
      payloadStart,
      reader.position,
      isPlainlyKeyed,
      keyStart,
      keyEnd,
    );
  }
}
