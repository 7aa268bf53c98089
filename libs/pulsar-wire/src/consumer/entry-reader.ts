import { BatchReader } from '../protocol/batch/batch-reader.js';
import { isPending } from '../protocol/batch/batch-ack-set.js';
import { type Entry, payloadOf } from '../protocol/entry/entry.js';
import type { MessageHeader } from '../protocol/frame/hot-commands.js';
import type { IntakeSlab } from '../protocol/frame/intake-slab.js';
import type { MessageId } from '../protocol/message-id/message-id.js';
import { BatchEntry } from './batch-entry.js';
import { HandedOutId } from './handed-out-id.js';
import { Loan } from './loan.js';
import { ReceivedMessage } from './received-message.js';

/** Batches that are partly acknowledged and given back, whose acknowledged items are not handed out again when they come again. */
const MAX_RESTING = 1_000;

/** What is to be done with an entry. */
export interface ReadEntry {
  /** To be handed out, in order. */
  readonly messages: readonly ReceivedMessage[];
  /** Nothing of the entry is left to be acknowledged by the application: it is to be acknowledged here. */
  readonly settled: boolean;
}

/** How {@link EntryReader} hands out. */
export interface EntryReaderOptions {
  readonly topic: string;
  /** Of the topic's name; brokers say it with each message too. */
  readonly partition: number;
  readonly payloads: 'view' | 'copy' | 'lent';
}

/**
 * Turns stored entries into messages, and keeps the book of open batches for as long as one connection lasts: of an entry that comes
 * again only those items are handed out again that were given back.
 */
export class EntryReader {
  readonly #batches = new Map<string, BatchEntry>();
  /** Of those, the ones that come again, here or with another consumer, and of which some items are acknowledged; the oldest first. */
  readonly #resting = new Set<BatchEntry>();

  constructor(private readonly options: EntryReaderOptions) {}

  /** Batches that are not wholly acknowledged. */
  get openBatches(): number {
    return this.#batches.size;
  }

  /** Whatever comes from now on comes anew. */
  reset(): void {
    this.#batches.clear();
    this.#resting.clear();
  }

  /** How many messages the broker charged for the entry: those that its acknowledgement set does not exclude. */
  charged(header: MessageHeader, entry: Entry): number {
    const count = entry.metadata.numMessagesInBatch ?? 1;
    if (header.ackSet === undefined) {
      return Math.max(1, count);
    }
    let pending = 0;
    for (let half of header.ackSet) {
      for (; half !== 0; half &= half - 1) {
        pending++;
      }
    }
    return Math.min(count, pending);
  }

  /**
   * The messages of an entry that are to be handed out.
   *
   * @param after leaves out this message and what stands before it: where a reader begins.
   * @param memory what the entry lies in, held for it.
   * @throws {@link CorruptEntryError} when the entry cannot be read; nothing of it is handed out then.
   */
  read(
    header: MessageHeader,
    entry: Entry,
    maxBytes: number,
    after: MessageId | undefined,
    memory?: IntakeSlab,
  ): ReadEntry {
    const payload = payloadOf(entry, maxBytes);
    const loan = this.#lend(payload === entry.payload, memory);
    const { ledgerId, entryId, redeliveryCount } = header;
    const { topic } = this.options;
    const partition = header.partition < 0 ? this.options.partition : header.partition;
    const same = after !== undefined && after.ledgerId === ledgerId && after.entryId === entryId ? after : undefined;
    if (entry.metadata.numMessagesInBatch === undefined) {
      if (same !== undefined) {
        return { messages: [], settled: true };
      }
      const id = new HandedOutId(ledgerId, entryId, partition, -1, 0, undefined, redeliveryCount, loan);
      const message = new ReceivedMessage(id, topic, this.#kept(payload), redeliveryCount, entry.metadata, undefined);
      return { messages: [message], settled: false };
    }
    const reader = new BatchReader(payload, entry.metadata.numMessagesInBatch);
    const known = this.#batches.get(keyOf(ledgerId, entryId));
    const batch = known ?? new BatchEntry(ledgerId, entryId, reader.count);
    batch.lend(loan);
    const messages: ReceivedMessage[] = [];
    for (let item = reader.next(); item !== undefined; item = reader.next()) {
      const { index } = item;
      const over =
        (header.ackSet !== undefined && !isPending(header.ackSet, index)) ||
        item.isCompactedOut ||
        (same !== undefined && (same.batchIndex < 0 || index <= same.batchIndex));
      if (over) {
        batch.acknowledge(index);
      } else if (known === undefined || known.takeAgain(index)) {
        const id = new HandedOutId(ledgerId, entryId, partition, index, reader.count, batch, redeliveryCount);
        messages.push(new ReceivedMessage(id, topic, this.#kept(item.payload), redeliveryCount, entry.metadata, item));
      }
    }
    this.#resting.delete(batch);
    if (batch.remaining > 0) {
      this.#batches.set(keyOf(ledgerId, entryId), batch);
    }
    return { messages, settled: batch.remaining === 0 };
  }

  /** Takes messages back, to be handed out when they come again. Answers one of each entry. */
  giveBack(ids: readonly HandedOutId[]): readonly HandedOutId[] {
    const entries = new Map<string, HandedOutId>();
    for (const id of ids) {
      id.batch?.giveBack(id.batchIndex);
      entries.set(keyOf(id.ledgerId, id.entryId), id);
    }
    for (const { batch } of entries.values()) {
      this.#rest(batch);
    }
    return [...entries.values()];
  }

  /** The batch is wholly acknowledged. */
  forget(batch: BatchEntry): void {
    this.#resting.delete(batch);
    const key = keyOf(batch.ledgerId, batch.entryId);
    if (this.#batches.get(key) === batch) {
      this.#batches.delete(key);
    }
  }

  /** Everything before an entry is acknowledged. */
  forgetBefore(id: MessageId): void {
    for (const [key, batch] of this.#batches) {
      if (batch.ledgerId < id.ledgerId || (batch.ledgerId === id.ledgerId && batch.entryId < id.entryId)) {
        this.#batches.delete(key);
        this.#resting.delete(batch);
      }
    }
  }

  /**
   * A batch with no item left in the application's hands may well go to another consumer, and nobody would tell. What is known of it matters only where some
   * items are acknowledged and the broker does not keep that itself; of those so many are kept.
   */
  #rest(batch: BatchEntry | undefined): void {
    if (batch?.isAtRest !== true || this.#batches.get(keyOf(batch.ledgerId, batch.entryId)) !== batch) {
      return;
    }
    if (batch.remaining === batch.size) {
      this.forget(batch);
      return;
    }
    this.#resting.add(batch);
    const [oldest] = this.#resting;
    if (oldest !== undefined && this.#resting.size > MAX_RESTING) {
      this.forget(oldest);
    }
  }

  /** @param isStored the messages lie there, and not where they were decompressed. */
  #lend(isStored: boolean, memory: IntakeSlab | undefined): Loan | undefined {
    if (memory === undefined || this.options.payloads !== 'lent') {
      return undefined;
    }
    const loan = new Loan(memory);
    if (!isStored) {
      loan.giveBack();
    }
    return loan;
  }

  #kept(payload: Buffer): Uint8Array {
    return this.options.payloads === 'copy' ? Uint8Array.prototype.slice.call(payload) : payload;
  }
}

function keyOf(ledgerId: bigint, entryId: bigint): string {
  return `${ledgerId}:${entryId}`;
}
