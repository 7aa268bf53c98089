import { MessageId } from '../protocol/message-id/message-id.js';
import type { BatchEntry } from './batch-entry.js';
import type { Loan } from './loan.js';

/** The id of a message that a consumer handed out. It knows what became of its batch, so hand it back as it is. */
export class HandedOutId extends MessageId {
  /** What became of its neighbours; undefined for a message that is no part of a batch. */
  readonly batch: BatchEntry | undefined;

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
}
