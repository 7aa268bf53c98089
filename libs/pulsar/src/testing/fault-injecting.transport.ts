import type { BrokerAdmin } from '../admin/broker-admin.js';
import { PulsarError } from '../pulsar.errors.js';
import {
  type MessageId,
  type OutgoingMessage,
  PulsarTransport,
  type TransportCapabilities,
  type TransportConsumer,
  type TransportConsumerListener,
  type TransportProducer,
  type TransportProducerOptions,
  type TransportSubscribeOptions,
} from '../transport/pulsar.transport.js';

/** Where a fault can strike. */
export type FaultPoint = 'connect' | 'createProducer' | 'send' | 'afterSend' | 'flush' | 'subscribe' | 'ack';

/** What a plan is asked about. */
export interface FaultQuestion {
  readonly point: FaultPoint;
  readonly topic: string;
  /** How many times this point was passed before, over all topics. */
  readonly count: number;
  readonly message?: OutgoingMessage;
}

/**
 * Decides what goes wrong: nothing (`undefined`), an error, or a promise of either, which delays the operation. An error at `afterSend`
 * comes when the message is stored already.
 */
export type FaultPlan = (question: FaultQuestion) => Error | undefined | Promise<Error | undefined>;

/** An error of this twin, transient unless said otherwise. */
export function injectedFault(
  topic: string,
  details: Partial<Pick<PulsarError, 'kind' | 'ambiguous'>> = {},
): PulsarError {
  return new PulsarError('SMARTPULSE_PULSAR_INJECTED', `A fault was injected on ${topic}.`, {
    kind: details.kind ?? 'transient',
    ambiguous: details.ambiguous ?? false,
    remedy: 'It is part of the test.',
    topic,
  });
}

/**
 * A transport that passes everything on to another one, except what its plan makes fail or wait.
 *
 * @example
 * ```ts
 * const transport = new FaultInjectingTransport(new InProcessTransport(broker));
 * transport.plan = ({ point, topic }) => (point === 'send' ? injectedFault(topic) : undefined);
 * ```
 */
export class FaultInjectingTransport extends PulsarTransport {
  readonly #inner: PulsarTransport;
  readonly #counts = new Map<FaultPoint, number>();
  readonly #consumers = new Set<() => Promise<void>>();

  /** What goes wrong from now on; at first nothing. */
  plan: FaultPlan = () => undefined;

  constructor(inner: PulsarTransport) {
    super();
    this.#inner = inner;
  }

  get name(): string {
    return this.#inner.name;
  }

  get durable(): boolean {
    return this.#inner.durable;
  }

  get shared(): boolean {
    return this.#inner.shared;
  }

  get brokerInstance(): string {
    return this.#inner.brokerInstance;
  }

  get capabilities(): TransportCapabilities {
    return this.#inner.capabilities;
  }

  override get admin(): BrokerAdmin | undefined {
    return this.#inner.admin;
  }

  override listTopics(namespace: string): Promise<readonly string[]> {
    return this.#inner.listTopics(namespace);
  }

  /** How often a point was passed, failures included. */
  passed(point: FaultPoint): number {
    return this.#counts.get(point) ?? 0;
  }

  /** Drops every consumer as a lost connection does: unacknowledged messages come again, listeners hear that they are closed. */
  async dropConsumers(): Promise<void> {
    await Promise.all([...this.#consumers].map((drop) => drop()));
  }

  override async connect(): Promise<void> {
    await this.#pass('connect', '');
    await this.#inner.connect();
  }

  override async createProducer(options: TransportProducerOptions): Promise<TransportProducer> {
    await this.#pass('createProducer', options.topic);
    return this.#wrapProducer(await this.#inner.createProducer(options));
  }

  override async subscribe(
    options: TransportSubscribeOptions,
    listener: TransportConsumerListener,
  ): Promise<TransportConsumer> {
    await this.#pass('subscribe', options.topic);
    const consumer = await this.#inner.subscribe(options, listener);
    const drop = async (): Promise<void> => {
      this.#consumers.delete(drop);
      await consumer.close();
      listener.onClosed(injectedFault(options.topic, { kind: 'recreate' }));
    };
    this.#consumers.add(drop);
    return {
      topic: consumer.topic,
      subscription: consumer.subscription,
      permit: (count) => consumer.permit(count),
      ack: async (id) => {
        await this.#pass('ack', options.topic);
        await consumer.ack(id);
      },
      ackCumulative: async (id) => {
        await this.#pass('ack', options.topic);
        await consumer.ackCumulative(id);
      },
      nack: (id, delayMs) => consumer.nack(id, delayMs),
      close: () => {
        this.#consumers.delete(drop);
        return consumer.close();
      },
      unsubscribe: () => {
        this.#consumers.delete(drop);
        return consumer.unsubscribe();
      },
    };
  }

  override close(): Promise<void> {
    return this.#inner.close();
  }

  #wrapProducer(producer: TransportProducer): TransportProducer {
    const { topic } = producer;
    const delayed = new Set<Promise<unknown>>();
    // As few turns as can be: a flush must not overtake the sends before it.
    const stored = (sending: Promise<MessageId>, message: OutgoingMessage): Promise<MessageId> =>
      sending.then((id) => {
        const fault = this.#ask('afterSend', topic, message);
        return fault === undefined ? id : fail(fault).then(() => id);
      });
    const sendLater = async (
      fault: Error | Promise<Error | undefined>,
      message: OutgoingMessage,
      signal?: AbortSignal,
    ): Promise<MessageId> => {
      const error = await fault;
      if (error !== undefined) {
        throw error;
      }
      return stored(producer.send(message, signal), message);
    };
    return {
      topic,
      get pending() {
        return producer.pending + delayed.size;
      },
      send: (message, signal) => {
        const fault = this.#ask('send', topic, message);
        if (fault === undefined) {
          return stored(producer.send(message, signal), message);
        }
        const sending = sendLater(fault, message, signal).finally(() => delayed.delete(sending));
        delayed.add(sending);
        return sending;
      },
      flush: async () => {
        const fault = this.#ask('flush', topic);
        if (fault !== undefined) {
          await fail(fault);
        }
        await producer.flush();
      },
      close: async () => {
        if (delayed.size > 0) {
          await Promise.allSettled(delayed);
        }
        await producer.close();
      },
    };
  }

  #ask(point: FaultPoint, topic: string, message?: OutgoingMessage): Error | undefined | Promise<Error | undefined> {
    const count = this.passed(point);
    this.#counts.set(point, count + 1);
    return this.plan({ point, topic, count, ...(message === undefined ? {} : { message }) });
  }

  async #pass(point: FaultPoint, topic: string, message?: OutgoingMessage): Promise<void> {
    await fail(this.#ask(point, topic, message));
  }
}

async function fail(fault: Error | undefined | Promise<Error | undefined>): Promise<void> {
  const error = await fault;
  if (error !== undefined) {
    throw error;
  }
}
