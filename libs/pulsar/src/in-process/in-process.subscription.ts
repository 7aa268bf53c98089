import type { Clock } from '@smartpulse/resilience';
import { ConsumerBusyError, PulsarError } from '../pulsar.errors.js';
import type { SubscriptionType, TransportConsumerListener } from '../transport/pulsar.transport.js';
import { AckCursor } from './ack-cursor.js';
import { AttachedConsumer } from './attached-consumer.js';
import { KeyLanes } from './key-lanes.js';
import { MessageSource } from './message-source.js';
import type { StoredMessage } from './stored-message.js';
import type { TopicLog } from './topic-log.js';
import type { TurnBudget } from './turn-budget.js';

/** A subscription's figures. */
export interface SubscriptionStats {
  readonly type: SubscriptionType;
  readonly durable: boolean;
  readonly consumers: number;
  /** Messages not acknowledged. */
  readonly backlog: number;
  /** Messages with consumers, not acknowledged. */
  readonly unacked: number;
  /** Messages that wait for their time. */
  readonly delayed: number;
  /** Deliveries beyond the first of a message. */
  readonly redelivered: number;
  /** Messages that a non-durable subscription missed because the log was trimmed. */
  readonly skipped: number;
}

/** Where a subscription lives. */
export interface SubscriptionHome {
  readonly topic: string;
  readonly clock: Clock;
  readonly log: TopicLog;
  readonly budget: TurnBudget;
}

/** One subscription: its cursor, its consumers and who gets what. Delivery runs in microtasks of its own, never inside a call. */
export class InProcessSubscription {
  readonly #home: SubscriptionHome;
  readonly #cursor: AckCursor;
  readonly #source: MessageSource;
  readonly #consumers: AttachedConsumer[] = [];
  readonly #redeliveries = new Map<number, number>();
  readonly #lanes = new KeyLanes();
  readonly #pump = (): void => this.#deliverAll();
  #type: SubscriptionType;
  #turn = 0;
  #redelivered = 0;
  #scheduled = false;
  #closed = false;

  constructor(
    home: SubscriptionHome,
    readonly name: string,
    type: SubscriptionType,
    readonly durable: boolean,
    position: number,
  ) {
    this.#home = home;
    this.#type = type;
    this.#cursor = new AckCursor(position);
    this.#source = new MessageSource(home.clock, home.log, this.#cursor, () => this.wake());
  }

  /** The first position that this subscription still needs. */
  get floor(): number {
    return this.#cursor.floor;
  }

  get consumers(): number {
    return this.#consumers.length;
  }

  get backlog(): number {
    return Math.max(0, this.#home.log.end - this.#cursor.floor - this.#cursor.above);
  }

  stats(): SubscriptionStats {
    return {
      type: this.#type,
      durable: this.durable,
      consumers: this.#consumers.length,
      backlog: this.backlog,
      unacked: this.#consumers.reduce((sum, consumer) => sum + consumer.unacked.size, 0),
      delayed: this.#source.delayed,
      redelivered: this.#redelivered,
      skipped: this.#source.skipped,
    };
  }

  /** @throws ConsumerBusyError, or PulsarError when consumers of another type are there. */
  attach(type: SubscriptionType, name: string, listener: TransportConsumerListener): AttachedConsumer {
    if (this.#consumers.length === 0) {
      this.#type = type;
    } else if (this.#type !== type) {
      throw new PulsarError(
        'SMARTPULSE_PULSAR_SUBSCRIPTION_MISMATCH',
        `Subscription "${this.name}" on ${this.#home.topic} has consumers of type ${this.#type}, not ${type}.`,
        { kind: 'permanent', remedy: 'Use one type for all consumers of a subscription.', topic: this.#home.topic },
      );
    } else if (type === 'Exclusive') {
      throw new ConsumerBusyError(this.#home.topic, this.name);
    }
    const consumer = new AttachedConsumer(name, listener);
    this.#consumers.push(consumer);
    return consumer;
  }

  /** How it shares its messages now. */
  get type(): SubscriptionType {
    return this.#type;
  }

  permit(consumer: AttachedConsumer, count: number): void {
    consumer.permits += count;
    this.wake();
  }

  ack(consumer: AttachedConsumer, position: number): void {
    if (this.#take(consumer, position) === undefined && position >= this.#home.log.end) {
      return;
    }
    this.#cursor.add(position);
    if (this.#redeliveries.size > 0) {
      this.#redeliveries.delete(position);
    }
  }

  /** The position and all before it. */
  ackThrough(consumer: AttachedConsumer, position: number): void {
    const last = Math.min(position, this.#home.log.end - 1);
    for (let one = this.#cursor.floor; one <= last; one++) {
      this.ack(consumer, one);
    }
  }

  nack(consumer: AttachedConsumer, position: number, delayMs: number): void {
    const message = this.#take(consumer, position);
    if (message !== undefined) {
      this.#return(message, delayMs);
      this.wake();
    }
  }

  /** Takes a consumer out; what it has not acknowledged goes to the others. */
  detach(consumer: AttachedConsumer): void {
    const index = this.#consumers.indexOf(consumer);
    if (index < 0) {
      return;
    }
    consumer.attached = false;
    this.#consumers.splice(index, 1);
    this.#takeBack(consumer);
    this.wake();
  }

  /** Acknowledges the oldest messages without delivering them. */
  skip(count: number): void {
    const { head, end } = this.#home.log;
    let left = count;
    for (let position = Math.max(this.#cursor.floor, head); position < end && left > 0; position++) {
      if (!this.#cursor.has(position)) {
        this.#cursor.add(position);
        left--;
      }
    }
  }

  /** The oldest messages that are not acknowledged. */
  peek(count: number): readonly StoredMessage[] {
    const { head, end } = this.#home.log;
    const messages: StoredMessage[] = [];
    for (let position = Math.max(this.#cursor.floor, head); position < end && messages.length < count; position++) {
      const message = this.#cursor.has(position) ? undefined : this.#home.log.at(position);
      if (message !== undefined) {
        messages.push(message);
      }
    }
    return messages;
  }

  /** What consumers have and have not acknowledged comes again, as after a move to another broker. */
  returnAll(): void {
    for (const consumer of this.#consumers) {
      this.#takeBack(consumer);
    }
    this.wake();
  }

  /** Tells every consumer that it is gone and forgets everything. */
  close(error: PulsarError): void {
    this.#closed = true;
    this.#source.close();
    for (const consumer of this.#consumers.splice(0)) {
      consumer.attached = false;
      consumer.listener.onClosed(error);
    }
  }

  /** Delivers what can be delivered, soon. */
  wake(): void {
    if (!this.#scheduled && !this.#closed && this.#consumers.length > 0) {
      this.#scheduled = true;
      queueMicrotask(this.#pump);
    }
  }

  #deliverAll(): void {
    this.#scheduled = false;
    const budget = this.#home.budget;
    let more = true;
    while (more && !this.#closed) {
      more = budget.take(this.#pump) && (this.#type === 'Key_Shared' ? this.#deliverKeyed() : this.#deliverNext());
    }
  }

  #deliverNext(): boolean {
    const consumer = this.#type === 'Shared' ? this.#nextPermitted() : this.#consumers[0];
    if (consumer === undefined || consumer.permits === 0) {
      return false;
    }
    const message = this.#source.next(this.#type === 'Shared');
    if (message === undefined) {
      return false;
    }
    this.#deliver(consumer, message);
    return true;
  }

  #deliverKeyed(): boolean {
    const consumer = this.#nextPermitted();
    if (consumer === undefined) {
      return false;
    }
    for (const one of this.#consumers) {
      const waiting = one.permits > 0 ? this.#lanes.takeWaiting(one) : undefined;
      if (waiting !== undefined) {
        this.#deliver(one, waiting);
        return true;
      }
    }
    const message = this.#lanes.full ? undefined : this.#source.next(true);
    if (message === undefined) {
      return false;
    }
    const key = message.lane;
    const owner = key === undefined ? consumer : this.#lanes.route(message, key, this.#consumers);
    if (owner !== undefined) {
      this.#deliver(owner, message);
    }
    return true;
  }

  #nextPermitted(): AttachedConsumer | undefined {
    const consumers = this.#consumers;
    for (let tried = 0; tried < consumers.length; tried++) {
      const consumer = consumers[this.#turn++ % consumers.length];
      if (consumer !== undefined && consumer.permits > 0) {
        return consumer;
      }
    }
    return undefined;
  }

  #deliver(consumer: AttachedConsumer, message: StoredMessage): void {
    const count = this.#redeliveries.size === 0 ? 0 : (this.#redeliveries.get(message.position) ?? 0);
    if (count > 0) {
      this.#redelivered++;
    }
    consumer.permits--;
    consumer.unacked.set(message.position, message);
    try {
      consumer.listener.onMessage(count === 0 ? message : message.redelivered(count));
    } catch (cause) {
      this.detach(consumer);
      consumer.listener.onClosed(
        new PulsarError('SMARTPULSE_PULSAR_UNKNOWN', `A listener on ${this.#home.topic} threw.`, {
          kind: 'recreate',
          remedy: 'See the cause: onMessage must not throw.',
          topic: this.#home.topic,
          cause,
        }),
      );
    }
  }

  /** As a broker does: a consumer that goes away, or whose topic moves, raises no count; only what is given back does. */
  #takeBack(consumer: AttachedConsumer): void {
    for (const message of [...this.#lanes.release(consumer), ...consumer.unacked.values()]) {
      this.#source.giveBack(message, 0);
    }
    consumer.unacked.clear();
  }

  #take(consumer: AttachedConsumer, position: number): StoredMessage | undefined {
    const message = consumer.unacked.get(position);
    if (message !== undefined) {
      consumer.unacked.delete(position);
      if (this.#type === 'Key_Shared' && message.lane !== undefined) {
        this.#lanes.settled(message.lane);
      }
    }
    return message;
  }

  #return(message: StoredMessage, delayMs: number): void {
    this.#redeliveries.set(message.position, (this.#redeliveries.get(message.position) ?? 0) + 1);
    this.#source.giveBack(message, delayMs);
  }
}
