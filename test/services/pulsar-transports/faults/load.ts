import {
  type ConsumerOptions,
  type ProducerOptions,
  type PulsarClient,
  type ReceivedMessage,
  type WireConsumer,
  type WireProducer,
} from '@smartpulse/pulsar-wire';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';

/** How a {@link Load} is made. */
export interface LoadOptions {
  /** Whose connections the messages leave by. */
  readonly sender: PulsarClient;
  /** Whose connections they come by. @defaultValue the sender's */
  readonly receiver?: PulsarClient;
  readonly topic: string;
  /** @defaultValue 10 */
  readonly keys?: number;
  readonly producer?: Partial<ProducerOptions>;
  readonly consumer?: Partial<ConsumerOptions>;
  /** Consumers of the one subscription. @defaultValue 1 */
  readonly consumers?: number;
  /** What each of them may have at once. @defaultValue 1,000 */
  readonly permits?: number;
  /** Each message of whose text it says so is given back when it comes for the first time. @defaultValue none */
  readonly nacks?: (text: string) => boolean;
}

/** What became of the messages of a {@link Load}. */
export interface LoadReport {
  readonly resolved: number;
  readonly rejected: readonly unknown[];
  /** Receptions beyond the first one of each message: redelivered, or stored twice. */
  readonly receivedAgain: number;
}

/** What lies in a topic. */
export interface Stored {
  readonly messages: number;
  /** Messages that are stored more than once, counted beyond the first. */
  readonly duplicates: number;
}

const PERMITS = 1_000;
const END = 'end';
const AUDIT = { subscription: 'audit', initialPosition: 'earliest', payloads: 'copy' } as const;

/**
 * Messages with keys and numbers on one topic, sent and received while something goes wrong, and the promise that is kept all the same: what
 * was acknowledged to the sender is received at least once, nothing comes that was not sent, and each key's messages come in their order.
 */
export class Load {
  readonly #options: LoadOptions;
  readonly #producer: WireProducer;
  readonly #sends: Promise<void>[] = [];
  readonly #resolved = new Set<string>();
  readonly #rejected: unknown[] = [];
  readonly #received: string[] = [];
  readonly #seen = new Set<string>();
  readonly #failedAcks: unknown[] = [];
  readonly #closed: Error[] = [];
  readonly #consumers: WireConsumer[] = [];
  readonly #givenBack = new Set<string>();
  #sent = 0;

  private constructor(options: LoadOptions, producer: WireProducer) {
    this.#options = options;
    this.#producer = producer;
  }

  static async begin(options: LoadOptions): Promise<Load> {
    const { topic, sender, receiver = sender } = options;
    // It acknowledges nothing until the end: what all have acknowledged is deleted when a topic is loaded anew.
    const audit = await sender.subscribe({ topic, ...AUDIT }, { onMessage: () => {}, onClosed: () => {} });
    await audit.close();
    const producer = await sender.createProducer({
      topic,
      batching: { maxDelayMs: 1, maxMessages: 20 },
      maxPendingMessages: 2_000,
      sendTimeoutMs: 0,
      ...options.producer,
    });
    const load = new Load(options, producer);
    for (let count = 0; count < (options.consumers ?? 1); count++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other: they share one subscription
      load.#consumers.push(await load.#subscribe(receiver));
    }
    load.#consumers.forEach((consumer) => consumer.permit(options.permits ?? PERMITS));
    return load;
  }

  async #subscribe(receiver: PulsarClient): Promise<WireConsumer> {
    const { topic } = this.#options;
    const consumer = await receiver.subscribe(
      {
        topic,
        subscription: 'load',
        initialPosition: 'earliest',
        type: 'Exclusive',
        payloads: 'copy',
        ...this.#options.consumer,
      },
      {
        onMessage: (message) => {
          this.#onMessage(message, consumer);
          consumer.permit(1);
        },
        onClosed: (error) => this.#closed.push(error),
      },
    );
    return consumer;
  }

  /** Messages of which the broker has said nothing yet. */
  get inFlight(): number {
    return this.#sends.length - this.#resolved.size - this.#rejected.length;
  }

  /** Hands so many messages to the producer, all in this turn. */
  send(count: number): void {
    const { keys = 10 } = this.#options;
    for (let index = 0; index < count; index++, this.#sent++) {
      const key = `key-${this.#sent % keys}`;
      const text = `${key}/${this.#sent}`;
      this.#sends.push(
        this.#producer.send({ payload: Buffer.from(text), key }).then(
          () => void this.#resolved.add(text),
          (error: unknown) => void this.#rejected.push(error),
        ),
      );
    }
  }

  /** Sends a few messages every few milliseconds, until `work` is over. */
  async during(work: Promise<unknown>, perRound = 20, pauseMs = 5): Promise<void> {
    const progress = { isOver: false };
    const ended = work.finally(() => {
      progress.isOver = true;
    });
    do {
      this.send(perRound);
      await sleep(pauseMs);
    } while (!progress.isOver);
    await ended;
  }

  /** Waits until every send is settled and what was acknowledged has come, and checks the promise. */
  async delivered(): Promise<LoadReport> {
    await Promise.all(this.#sends);
    while ([...this.#resolved].some((text) => !this.#seen.has(text))) {
      expect(this.#closed).toEqual([]);
      await sleep(10);
    }
    expect(this.#closed).toEqual([]);
    this.#expectOrder(this.#received);
    return {
      resolved: this.#resolved.size,
      rejected: this.#rejected,
      receivedAgain: this.#received.length - this.#seen.size,
    };
  }

  /** Reads the whole topic by another client, and checks that it holds what was acknowledged, in the order of each key. */
  async stored(auditor: PulsarClient): Promise<Stored> {
    const { topic } = this.#options;
    const end = await auditor.createProducer({ topic, producerName: `${END}-${this.#sent}` });
    await end.send({ payload: Buffer.from(END) });
    await end.close();
    const texts: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const listener = {
        onMessage: (message: ReceivedMessage): void => {
          const text = textOf(message);
          if (text === END) {
            resolve(consumer.then((audit) => audit.close()));
          } else {
            texts.push(text);
            void consumer.then((audit) => audit.permit(1));
          }
        },
        onClosed: reject,
      };
      const consumer = auditor.subscribe({ topic, ...AUDIT }, listener);
      consumer.then((audit) => audit.permit(PERMITS)).catch(reject);
    });
    const distinct = new Set(texts);
    expect([...this.#resolved].filter((text) => !distinct.has(text))).toEqual([]);
    this.#expectOrder(texts);
    return { messages: texts.length, duplicates: texts.length - distinct.size };
  }

  async close(): Promise<void> {
    await this.#producer.close();
    await Promise.all(this.#consumers.map((consumer) => consumer.close()));
    expect(this.#failedAcks).toEqual([]);
  }

  #onMessage(message: ReceivedMessage, consumer: WireConsumer): void {
    const text = textOf(message);
    this.#received.push(text);
    if (this.#options.nacks?.(text) === true && !this.#givenBack.has(text)) {
      this.#givenBack.add(text);
      consumer.nack(message.id, 20);
      return;
    }
    this.#seen.add(text);
    consumer.ack(message.id).catch((error: unknown) => this.#failedAcks.push(error));
  }

  /** Repetitions aside: a message that came once may come again later. */
  #expectOrder(texts: readonly string[]): void {
    const last = new Map<string, number>();
    const disorder: string[] = [];
    for (const text of new Set(texts)) {
      const [key = '', number] = text.split('/');
      const order = Number(number);
      if (!(order > (last.get(key) ?? -1)) || order >= this.#sent) {
        disorder.push(text);
      }
      last.set(key, order);
    }
    expect(disorder).toEqual([]);
  }
}

function textOf({ payload }: ReceivedMessage): string {
  return Buffer.from(payload).toString('utf8');
}
