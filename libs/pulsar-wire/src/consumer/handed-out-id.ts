import { MessageId } from '../protocol/message-id/message-id.js';
import type { BatchEntry } from './batch-entry.js';
import type { Loan } from './loan.js';

/** The id of a message that a consumer handed out. It knows what became of its batch, so hand it back as it is. */
export class HandedOutId extends MessageId {
  /** What became of its neighbours; undefined for a message that is no part of a batch. */
  readonly batch: BatchEntry | undefined;
  /** A message that is no part of a batch is acknowledged, by whatever delivery of it. */
  #acknowledged = false;
  /** The first delivery of the message. */
  #first: HandedOutId | undefined;

  constructor(
    ledgerId: bigint,
    entryId: bigint,
    partition: number,
    batchIndex: number,
    batchSize: number,
    batch: BatchEntry | undefined,
    /** How often the message was delivered before: what a growing delay of the next delivery counts from. */
    readonly redeliveryCount = 0,
    /** The memory of a message that is no part of a batch. */
    readonly loan?: Loan,
  ) {
    super(ledgerId, entryId, partition, batchIndex, batchSize);
    this.batch = batch;
  }

  /** Nothing of its entry is left to be acknowledged. */
  get isEntryDone(): boolean {
    return this.batch === undefined ? (this.#first ?? this).#acknowledged : this.batch.isDone;
  }

  /** The consumer's own note, of a message that is no part of a batch: it is done with. Tells the broker nothing. */
  noteAcknowledged(): void {
    (this.#first ?? this).#acknowledged = true;
    this.loan?.giveBack();
  }

  /** The consumer's own note: the entry was delivered before by `earlier`, and may be acknowledged by that still. */
  noteEarlier(earlier: HandedOutId): void {
    if (this.batch === undefined) {
      this.#first = earlier.#first ?? earlier;
    } else if (earlier.batch !== undefined) {
      this.batch.comesAgain(earlier.batch);
    }
  }
}
