import type { Clock } from '../client/time.js';
import type { MessageId } from '../protocol/message-id/message-id.js';
import { type KeyHashName, partitionOf } from '../protocol/routing/key-hash.js';
import type { SendListener, WireMessage, WireProducer } from './producer.options.js';

/** How {@link PartitionedProducer} chooses. */
export interface PartitionRouting {
  readonly keyHash: KeyHashName;
  /** Messages without a key go to the next partition after so many... */
  readonly stickyMessages: number;
  /** ...or after so long, in milliseconds: as a batch is filled, so that batches do not become small with many partitions. */
  readonly stickyMs: number;
  /** The partition to begin with. */
  readonly first: number;
}

/** One producer for each partition of a topic: a key chooses its partition, messages without one go round. */
export class PartitionedProducer implements WireProducer {
  #current: number;
  #onCurrent = 0;
  #sinceMs = 0;
  #closed = false;

  /** @param partitions at least one, by their numbers. */
  constructor(
    readonly topic: string,
    private readonly partitions: WireProducer[],
    private readonly routing: PartitionRouting,
    private readonly clock: Clock,
  ) {
    this.#current = routing.first % partitions.length;
  }

  /** Partitions that it has. */
  get size(): number {
    return this.partitions.length;
  }

  /** Takes on producers of the partitions behind those that it has, by their numbers: keys are spread anew from here on. */
  async add(opening: Promise<readonly WireProducer[]>): Promise<void> {
    const producers = await opening;
    if (this.#closed) {
      await Promise.all(producers.map((producer) => producer.close()));
      return;
    }
    this.partitions.push(...producers);
  }

  get closed(): boolean {
    return this.#closed;
  }

  get name(): string {
    return this.partitions[0]?.name ?? '';
  }

  get pending(): number {
    return this.partitions.reduce((sum, { pending }) => sum + pending, 0);
  }

  get lastSequenceId(): bigint {
    return this.partitions.reduce((last, { lastSequenceId }) => (lastSequenceId > last ? lastSequenceId : last), -1n);
  }

  send(message: WireMessage, signal?: AbortSignal): Promise<MessageId> {
    return this.#for(message).send(message, signal);
  }

  sendTo(listener: SendListener, message: WireMessage, signal?: AbortSignal): void {
    this.#for(message).sendTo(listener, message, signal);
  }

  #for(message: WireMessage): WireProducer {
    const key = message.key ?? (message.orderingKey && Buffer.from(message.orderingKey).toString('utf8'));
    const index = key === undefined ? this.#next() : partitionOf(key, this.partitions.length, this.routing.keyHash);
    const partition = this.partitions[index];
    if (partition === undefined) {
      throw new RangeError(`There is no partition ${index}.`);
    }
    return partition;
  }

  async flush(): Promise<void> {
    await Promise.all(this.partitions.map((partition) => partition.flush()));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.partitions.map((partition) => partition.close()));
  }

  #next(): number {
    const nowMs = this.clock.monotonic();
    if (this.#onCurrent === 0) {
      this.#sinceMs = nowMs;
    } else if (this.#onCurrent >= this.routing.stickyMessages || nowMs - this.#sinceMs >= this.routing.stickyMs) {
      this.#current = (this.#current + 1) % this.partitions.length;
      this.#onCurrent = 0;
      this.#sinceMs = nowMs;
    }
    this.#onCurrent++;
    return this.#current;
  }
}
