import { InvalidMessageIdError, MalformedFrameError } from '../../pulsar-wire.errors.js';
import { ByteReader } from '../bytes/byte-reader.js';
import { ByteWriter } from '../bytes/byte-writer.js';
import { MESSAGE_ID } from '../command/shared.tables.js';
import { readMessage, writeMessage } from '../table/table-codec.js';

const MAX_LONG = 0x7fff_ffff_ffff_ffffn;
const TEXT = /^(-?\d{1,19}):(-?\d{1,19}):(-?\d{1,10})(?::(-?\d{1,10}))?$/;

/** A message's place in its topic. Immutable; two of the same place are {@link equals}. */
export class MessageId {
  /** Before every message. */
  static readonly earliest: MessageId = new MessageId(-1n, -1n);
  /** Behind every message. */
  static readonly latest: MessageId = new MessageId(MAX_LONG, MAX_LONG);

  /**
   * @param ledgerId signed; −1 with entry −1: no place, the message was a duplicate or not stored.
   * @param entryId signed.
   * @param partition −1: the topic has none.
   * @param batchIndex −1: the entry is no batch.
   * @param batchSize messages in the batch; 0: unknown or no batch. Not part of the identity.
   */
  constructor(
    readonly ledgerId: bigint,
    readonly entryId: bigint,
    readonly partition = -1,
    readonly batchIndex = -1,
    readonly batchSize = 0,
  ) {}

  /**
   * Reads the text form.
   *
   * @throws {@link InvalidMessageIdError}
   */
  static parse(text: string): MessageId {
    const match = TEXT.exec(text);
    if (match === null) {
      throw new InvalidMessageIdError(`a text of ${text.length} characters`);
    }
    const [, ledger = '', entry = '', partition = '', batch = '-1'] = match;
    return checked(new MessageId(BigInt(ledger), BigInt(entry), Number(partition), Number(batch)));
  }

  /**
   * Reads what {@link toBytes} of this or `toByteArray` of the Java client wrote.
   *
   * @throws {@link InvalidMessageIdError}
   */
  static fromBytes(bytes: Uint8Array): MessageId {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    try {
      const data = readMessage(new ByteReader(buffer), MESSAGE_ID);
      return new MessageId(data.ledgerId, data.entryId, data.partition, data.batchIndex, data.batchSize);
    } catch (error) {
      throw MalformedFrameError.is(error) ? new InvalidMessageIdError(`${bytes.length} bytes`) : error;
    }
  }

  /** Below 0: this stands before `other`; 0: the same place. Between partitions the order is that of their numbers. */
  compareTo(other: MessageId): number {
    return (
      compare(this.ledgerId, other.ledgerId) ||
      compare(this.entryId, other.entryId) ||
      compare(this.partition, other.partition) ||
      compare(this.batchIndex, other.batchIndex)
    );
  }

  /** Whether both name the same message. */
  equals(other: MessageId): boolean {
    return this.compareTo(other) === 0;
  }

  /** The bytes that official clients exchange. */
  toBytes(): Uint8Array {
    const writer = new ByteWriter(64);
    writeMessage(writer, MESSAGE_ID, {
      ledgerId: this.ledgerId,
      entryId: this.entryId,
      partition: this.partition < 0 ? undefined : this.partition,
      batchIndex: this.batchIndex < 0 ? undefined : this.batchIndex,
      batchSize: this.batchSize <= 0 ? undefined : this.batchSize,
    });
    return writer.take();
  }

  /** `ledger:entry:partition`, in a batch `ledger:entry:partition:index`, as the Java client prints it. */
  toString(): string {
    if (this.entryId !== last.entryId || this.ledgerId !== last.ledgerId || this.partition !== last.partition) {
      const { ledgerId, entryId, partition } = this;
      last = { ledgerId, entryId, partition, text: `${ledgerId}:${entryId}:${partition}` };
    }
    return this.batchIndex < 0 ? last.text : `${last.text}:${this.batchIndex}`;
  }
}

/** The entry whose id was last asked for as a text: the messages of a batch come one after the other, and large numbers are slow to write. */
let last = { ledgerId: 0n, entryId: 0n, partition: -1, text: '0:0:-1' };

function compare<T extends bigint | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function checked(id: MessageId): MessageId {
  const fits = (value: bigint): boolean => BigInt.asIntN(64, value) === value;
  if (
    !fits(id.ledgerId) ||
    !fits(id.entryId) ||
    (id.partition | 0) !== id.partition ||
    (id.batchIndex | 0) !== id.batchIndex
  ) {
    throw new InvalidMessageIdError('a number is out of range');
  }
  return id;
}
