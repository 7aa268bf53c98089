import {
  type ConsumerListener,
  type ConsumerOptions,
  type MessageId,
  type ProducerOptions,
  PulsarClient,
  type PulsarClientOptions,
  type ReceivedMessage,
  type WireConsumer,
} from '@smartpulse/pulsar-wire';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import type { PulsarAdmin } from '../../../support/pulsar/admin.js';
import type { PulsarStandalone } from '../../../support/pulsar/standalone.js';

/** What a consumer of a scene heard. */
export interface Receiver {
  readonly consumer: WireConsumer;
  readonly messages: ReceivedMessage[];
  readonly closed: Error[];
  /** What a Failover consumer was told: whether it is the one that receives. */
  readonly active: boolean[];
  /** Resolves when so many messages were received in all. */
  readonly until: (count: number) => Promise<void>;
}

/** How a {@link Receiver} is made, beside the options of its consumer. */
export interface ReceiverOptions {
  /** @defaultValue 1,000 */
  readonly permits?: number;
  /** One more permit for each message that came. @defaultValue true */
  readonly refill?: boolean;
  /** @defaultValue the scene's client */
  readonly of?: PulsarClient;
}

/** The wire client and what a test does with it, on one broker. */
export class WireScene {
  readonly clock = new SystemClock();
  readonly random = new SystemRandom();
  readonly #run = this.random.id().replace(/[^A-Za-z0-9]/g, '');
  readonly #broker: () => PulsarStandalone;
  #client: PulsarClient | undefined;
  #topics = 0;

  constructor(broker: () => PulsarStandalone) {
    this.#broker = broker;
  }

  get serviceUrl(): string {
    return this.#broker().serviceUrl;
  }

  get admin(): PulsarAdmin {
    return this.#broker().admin;
  }

  get client(): PulsarClient {
    this.#client ??= this.clientOf(this.serviceUrl);
    return this.#client;
  }

  clientOf(serviceUrl: string, options: Partial<PulsarClientOptions> = {}): PulsarClient {
    return new PulsarClient({ serviceUrl, clock: this.clock, random: this.random, ...options });
  }

  newTopic(): string {
    return `persistent://public/default/wire-${this.#run}-${this.#topics++}`;
  }

  async receive(
    options: Omit<ConsumerOptions, 'subscription'> & { readonly subscription?: string },
    { permits = 1_000, refill = true, of = this.client }: ReceiverOptions = {},
  ): Promise<Receiver> {
    const messages: ReceivedMessage[] = [];
    const closed: Error[] = [];
    const active: boolean[] = [];
    let wake: (() => void) | undefined;
    const listener: ConsumerListener = {
      onMessage: (message) => {
        messages.push(message);
        wake?.();
        if (refill) {
          consumer.permit(1);
        }
      },
      onClosed: (error) => closed.push(error),
      onActiveChange: (isActive) => active.push(isActive),
    };
    const consumer = await of.subscribe(
      { subscription: 's', type: 'Shared', initialPosition: 'earliest', payloads: 'copy', ...options },
      listener,
    );
    if (permits > 0) {
      consumer.permit(permits);
    }
    const until = async (count: number): Promise<void> => {
      while (messages.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    return { consumer, messages, closed, active, until };
  }

  async publish(
    topic: string,
    texts: readonly string[],
    options: Partial<ProducerOptions> = {},
  ): Promise<readonly MessageId[]> {
    const producer = await this.client.createProducer({ topic, ...options });
    const sent = texts.map((text) => producer.send({ payload: bytes(text) }));
    await producer.close();
    return Promise.all(sent);
  }

  /** What the broker tells of the place of a subscription. */
  async cursorOf(topic: string, subscription: string): Promise<unknown> {
    const { text } = await this.admin.request('GET', `/admin/v2/persistent/${pathOf(topic)}/internalStats`);
    const { cursors } = JSON.parse(text) as { readonly cursors: Readonly<Record<string, unknown>> };
    return cursors[subscription];
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }
}

/** The topic as the admin API names it. */
export function pathOf(topic: string): string {
  return topic.slice('persistent://'.length);
}

export function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

export function textOf({ payload }: ReceivedMessage): string {
  return Buffer.from(payload).toString('utf8');
}

/** `m-0`, `m-1`, … */
export function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `m-${index}`);
}
