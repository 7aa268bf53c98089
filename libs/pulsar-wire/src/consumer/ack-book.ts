import { UnsupportedOperationError } from '../client/client.errors.js';
import type { AckQueue } from './ack-queue.js';
import type { AckTimeouts } from './ack-timeouts.js';
import { positionThrough } from './consumer-commands.js';
import type { ConsumerOptions } from './consumer.options.js';
import type { EntryReader } from './entry-reader.js';
import type { HandedOutId } from './handed-out-id.js';
import type { SkippedEntries } from './skipped-entries.js';

/** Notes what the application is done with wherever it matters, and queues the acknowledgement. */
export class AckBook {
  /** @param skipped of a subscription whose messages come in order, on which alone everything up to a message can be acknowledged. */
  constructor(
    private readonly options: ConsumerOptions,
    private readonly acks: AckQueue,
    private readonly reader: EntryReader,
    private readonly timeouts: AckTimeouts | undefined,
    private readonly skipped: SkippedEntries | undefined,
  ) {}

  ack(id: HandedOutId): Promise<void> {
    this.timeouts?.remove(id);
    const { batch } = id;
    if (batch === undefined) {
      id.noteAcknowledged();
      this.skipped?.acknowledged();
      return this.acks.addSingle(id.ledgerId, id.entryId);
    }
    batch.acknowledge(id.batchIndex);
    if (batch.remaining === 0) {
      this.reader.forget(batch);
      this.skipped?.acknowledged();
    }
    return this.acks.addBatch(batch);
  }

  ackCumulative(id: HandedOutId): Promise<void> {
    if (this.skipped === undefined) {
      return Promise.reject(
        new UnsupportedOperationError(
          `Cumulative acknowledgement has no effect on a subscription of type ${this.options.type}.`,
          'Acknowledge each message, or subscribe with type Exclusive or Failover.',
        ),
      );
    }
    this.timeouts?.removeThrough(id);
    this.reader.forgetBefore(id);
    const { batch } = id;
    if (batch === undefined) {
      id.noteAcknowledged();
    } else {
      batch.acknowledgeThrough(id.batchIndex);
      if (batch.remaining === 0) {
        this.reader.forget(batch);
      }
    }
    this.skipped.acknowledgedBefore(id);
    return this.acks.addCumulative(positionThrough(id, this.options.batchIndexAck ?? true));
  }
}
