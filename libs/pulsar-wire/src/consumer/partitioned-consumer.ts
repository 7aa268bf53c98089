import { UnsupportedOperationError } from '../client/client.errors.js';
import { wholeNumber } from '../client/client.options.js';
import { Fifo } from '../collections/fifo.js';
import { MessageId } from '../protocol/message-id/message-id.js';
import { InvalidMessageIdError } from '../pulsar-wire.errors.js';
import type { ConsumerListener, WireConsumer } from './consumer.options.js';
import type { SeekTarget } from './cursor-place.js';
import type { HandedOutId } from './handed-out-id.js';
import type { ReceivedMessage } from './received-message.js';
import type { TopicEnd } from './topic-end.js';

/** What it needs of the consumer of one partition. */
export interface PartitionConsumer extends WireConsumer {
  ends(): Promise<readonly TopicEnd[]>;
}

interface Partition {
  readonly consumer: PartitionConsumer;
  /** Permits given to it that it has not used. */
  credit: number;
  /** Of its messages, those that lie in our queue. */
  queued: number;
}

/**
 * One consumer for each partition of a topic, behind one window of permits. Each partition always has its share of the window, at least
 * one, so that a quiet one is heard at once; what arrives beyond the window waits here.
 */
export class PartitionedConsumer implements WireConsumer {
  readonly #partitions: Partition[] = [];
  readonly #queue = new Fifo<{ readonly partition: Partition; readonly message: ReceivedMessage }>();
  readonly #inactive = new Set<number>();
  #allowed = 0;
  #draining = false;
  #closed = false;

  constructor(
    readonly topic: string,
    readonly subscription: string,
    private readonly listener: ConsumerListener,
  ) {}

  /** What the consumer of partition `index` is given as its listener, before it exists. */
  listenerOf(index: number): ConsumerListener {
    return {
      onMessage: (message) => {
        const partition = this.#partitions[index];
        if (partition !== undefined) {
          partition.credit--;
          partition.queued++;
          this.#queue.push({ partition, message });
          this.#drain();
        }
      },
      onClosed: (error) => {
        if (!this.#closed) {
          this.#closed = true;
          this.listener.onClosed(error);
          // One partition less would lose its messages silently, so the others go too.
          void this.#closeAll();
        }
      },
      onEndOfTopic: () => {
        this.#inactive.add(index);
        if (this.#inactive.size === this.#partitions.length) {
          this.listener.onEndOfTopic?.();
        }
      },
      onActiveChange: (isActive) => this.listener.onActiveChange?.(isActive),
    };
  }

  /** Partitions that it has. */
  get size(): number {
    return this.#partitions.length;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Consumers of the partitions behind those that it has, by their numbers. */
  async add(consumers: readonly PartitionConsumer[]): Promise<void> {
    if (this.#closed) {
      await Promise.all(consumers.map((consumer) => consumer.close()));
      return;
    }
    this.#partitions.push(...consumers.map((consumer) => ({ consumer, credit: 0, queued: 0 })));
    this.#drain();
  }

  permit(count: number): void {
    this.#allowed += wholeNumber('permit', count, 1, 0x7fff_ffff);
    this.#drain();
  }

  ack(id: HandedOutId): Promise<void> {
    return this.#of(id)?.ack(id) ?? unknownPartition(id);
  }

  ackCumulative(id: HandedOutId): Promise<void> {
    return this.#of(id)?.ackCumulative(id) ?? unknownPartition(id);
  }

  nack(id: HandedOutId, delayMs?: number): void {
    this.#of(id)?.nack(id, delayMs);
  }

  redeliverUnacknowledged(): void {
    for (const { consumer } of this.#partitions) {
      consumer.redeliverUnacknowledged();
    }
  }

  async seek(target: SeekTarget): Promise<void> {
    const isEnd = target instanceof MessageId && (target.equals(MessageId.earliest) || target.equals(MessageId.latest));
    if (target instanceof MessageId && !isEnd) {
      throw new UnsupportedOperationError(
        'A message id is the place of one partition only.',
        'Seek by publish time, or to MessageId.earliest or MessageId.latest.',
      );
    }
    for (const { partition } of this.#queue.takeAll()) {
      partition.queued--;
    }
    await Promise.all(this.#partitions.map(({ consumer }) => consumer.seek(target)));
    this.#drain();
  }

  async lastMessageIds(): Promise<readonly MessageId[]> {
    return (await this.ends()).map(({ last }) => last);
  }

  async ends(): Promise<readonly TopicEnd[]> {
    return (await Promise.all(this.#partitions.map(({ consumer }) => consumer.ends()))).flat();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#queue.takeAll();
    await this.#closeAll();
  }

  async unsubscribe(): Promise<void> {
    this.#closed = true;
    this.#queue.takeAll();
    await Promise.all(this.#partitions.map(({ consumer }) => consumer.unsubscribe()));
  }

  async #closeAll(): Promise<void> {
    await Promise.all(this.#partitions.map(({ consumer }) => consumer.close()));
  }

  #of(id: HandedOutId): WireConsumer | undefined {
    return this.#partitions[id.partition]?.consumer;
  }

  #drain(): void {
    if (this.#draining || this.#closed) {
      return;
    }
    this.#draining = true;
    while (this.#allowed > 0) {
      const next = this.#queue.shift();
      if (next === undefined) {
        break;
      }
      next.partition.queued--;
      this.#allowed--;
      this.listener.onMessage(next.message);
    }
    this.#draining = false;
    const share = Math.ceil(this.#allowed / Math.max(1, this.#partitions.length));
    for (const partition of this.#partitions) {
      const due = share - partition.credit - partition.queued;
      // Told in halves of the share: the partition's own window does the same towards the broker.
      if (due > 0 && due >= partition.credit) {
        partition.credit += due;
        partition.consumer.permit(due);
      }
    }
  }
}

function unknownPartition(id: HandedOutId): Promise<never> {
  return Promise.reject(new InvalidMessageIdError(`the topic has no partition ${id.partition}`));
}
