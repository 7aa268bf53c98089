import { SeekIncompleteError, toWireError, UnsupportedOperationError } from '../client/client.errors.js';
import { wholeNumber } from '../client/client.options.js';
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
  /** Messages that wait in it. */
  readonly queued: number;
  /** Hands out what waits in it, as far as its listener is ready. */
  handOut(): void;
}

/**
 * A listener that is not always ready for what it has permitted. What it does not take yet stays with the consumer of the partition, which alone
 * knows when it becomes void: with a lost connection, a seek, or when everything is given back.
 */
export interface PartitionListener extends ConsumerListener {
  /** Asked before each message. */
  isReady?(): boolean;
}

/** Subscribes to one partition, by its number. */
export type OpenPartition = (partition: number) => Promise<PartitionConsumer>;

interface Partition {
  readonly consumer: PartitionConsumer;
  /** Permits given to it that it has not used. */
  credit: number;
}

/**
 * One consumer for each partition of a topic, behind one window of permits. Each partition always has its share of the window, at least
 * one, so that a quiet one is heard at once; what arrives beyond the window waits in the consumer of its partition.
 */
export class PartitionedConsumer implements WireConsumer {
  readonly #partitions: Partition[] = [];
  readonly #inactive = new Set<number>();
  #allowed = 0;
  /** The listener has a message in its hands. */
  #busy = false;
  /** It permitted more meanwhile. */
  #permitted = false;
  /** The partition that is asked first the next time. */
  #first = 0;
  #closed = false;
  /** New partitions that are being subscribed to, until they are taken on or given up. */
  #joining: Promise<unknown> | undefined;
  /** New partitions that were not taken on, and how to subscribe to them again: the subscription stays on them, without a consumer. */
  readonly #subscribed = new Map<number, OpenPartition>();
  /** Its subscription is being deleted. */
  #leaving: Promise<void> | undefined;

  constructor(
    readonly topic: string,
    readonly subscription: string,
    private readonly listener: ConsumerListener,
  ) {}

  /** What the consumer of partition `index` is given as its listener, before it exists. */
  listenerOf(index: number): PartitionListener {
    return {
      isReady: () => this.#allowed > 0 && !this.#busy && !this.#closed,
      onMessage: (message) => this.#onMessage(index, message),
      onClosed: (error) => {
        if (!this.#closed) {
          this.#closed = true;
          // One partition less would lose its messages silently, so the others go too.
          void this.#closeAll();
          this.listener.onClosed(error);
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

  /** While it leaves for good no partition is to be taken on: the subscription would stay on that one. */
  get isLeaving(): boolean {
    return this.#leaving !== undefined;
  }

  /** Takes on the partitions behind those that it has, up to `count`, as soon as all of them are subscribed to; none where one is not. */
  add(count: number, open: OpenPartition): Promise<void> {
    const joining = this.#join(count, open);
    this.#joining = Promise.allSettled([joining]);
    return joining;
  }

  async #join(count: number, open: OpenPartition): Promise<void> {
    const from = this.size;
    const opened = await Promise.allSettled(Array.from({ length: count - from }, (_, offset) => open(from + offset)));
    const consumers = opened.filter((one) => one.status === 'fulfilled').map(({ value }) => value);
    if (consumers.length === opened.length && !this.#closed) {
      this.#partitions.push(...consumers.map((consumer) => ({ consumer, credit: 0 })));
      this.#subscribed.clear();
      this.#share();
      return;
    }
    for (const [offset, one] of opened.entries()) {
      // Its subscription keeps what is published there until the next round takes it on.
      if (one.status === 'fulfilled' || toWireError(one.reason).ambiguous) {
        this.#subscribed.set(from + offset, open);
      }
    }
    await Promise.all(consumers.map((consumer) => consumer.close()));
    const failure = opened.find((one) => one.status === 'rejected');
    if (failure !== undefined) {
      throw failure.reason;
    }
  }

  permit(count: number): void {
    this.#allowed += wholeNumber('permit', count, 1, 0x7fff_ffff);
    if (this.#busy) {
      this.#permitted = true;
    } else {
      this.#share();
    }
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
    const results = await Promise.allSettled(this.#partitions.map(({ consumer }) => consumer.seek(target)));
    this.#share();
    const failures = results.flatMap((result, partition) =>
      result.status === 'rejected' ? [{ partition, error: toWireError(result.reason) }] : [],
    );
    if (failures[0] !== undefined) {
      throw new SeekIncompleteError(
        this.topic,
        failures.map(({ partition }) => partition),
        failures[0].error,
        { ambiguous: failures.some(({ error }) => error.ambiguous) },
      );
    }
  }

  async lastMessageIds(): Promise<readonly MessageId[]> {
    return (await this.ends()).map(({ last }) => last);
  }

  async ends(): Promise<readonly TopicEnd[]> {
    return (await Promise.all(this.#partitions.map(({ consumer }) => consumer.ends()))).flat();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#closeAll();
  }

  unsubscribe(): Promise<void> {
    this.#leaving ??= this.#leave().finally(() => (this.#leaving = undefined));
    return this.#leaving;
  }

  async #leave(): Promise<void> {
    await this.#joining;
    // A consumer that is closed already keeps its subscription, on all of them.
    const others = this.#closed ? [] : [...this.#subscribed];
    const results = await Promise.allSettled([
      ...this.#partitions.map(({ consumer }) => consumer.unsubscribe()),
      ...others.map(([partition, open]) => this.#leaveOther(partition, open)),
    ]);
    const failure = results.find((result) => result.status === 'rejected');
    if (results.some((result) => result.status === 'fulfilled')) {
      // Where some are gone their messages would be lost silently, so the others go too.
      await this.close();
    }
    if (failure !== undefined) {
      throw failure.reason;
    }
  }

  /** Deletes the subscription on a partition that was not taken on, which takes a consumer. */
  async #leaveOther(partition: number, open: OpenPartition): Promise<void> {
    const consumer = await open(partition);
    try {
      await consumer.unsubscribe();
      this.#subscribed.delete(partition);
    } catch (error) {
      await consumer.close();
      throw error;
    }
  }

  async #closeAll(): Promise<void> {
    await Promise.all(this.#partitions.map(({ consumer }) => consumer.close()));
  }

  #of(id: HandedOutId): WireConsumer | undefined {
    return this.#partitions[id.partition]?.consumer;
  }

  #onMessage(index: number, message: ReceivedMessage): void {
    this.#allowed--;
    this.#busy = true;
    try {
      // What it throws is the partition's to deal with, which knows the message.
      this.listener.onMessage(message);
    } finally {
      this.#busy = false;
      const partition = this.#partitions[index];
      if (partition !== undefined) {
        partition.credit--;
        this.#topUp(partition);
      }
      if (this.#permitted) {
        this.#permitted = false;
        this.#share();
      }
    }
  }

  /** Takes what waits in the partitions, as far as it is allowed; another one comes first each time. */
  #share(): void {
    const count = this.#partitions.length;
    const first = this.#first++;
    for (let offset = 0; offset < count; offset++) {
      const partition = this.#partitions[(first + offset) % count];
      if (partition !== undefined && !this.#topUp(partition) && partition.consumer.queued > 0) {
        partition.consumer.handOut();
      }
    }
  }

  /** Whether it was given permits, and with them the occasion to hand out. */
  #topUp(partition: Partition): boolean {
    const due = Math.ceil(this.#allowed / this.#partitions.length) - partition.credit;
    // Told in halves of the share: the partition's own window does the same towards the broker.
    if (due <= 0 || due < partition.credit || this.#closed) {
      return false;
    }
    partition.credit += due;
    partition.consumer.permit(due);
    return true;
  }
}

function unknownPartition(id: HandedOutId): Promise<never> {
  return Promise.reject(new InvalidMessageIdError(`the topic has no partition ${id.partition}`));
}
