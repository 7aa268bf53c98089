import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { decodeEnvelope } from '@smartpulse/data-sync';
import { type ForecastContracts } from '@smartpulse/production-forecast-contract';
import { type IncomingMessage, PulsarConnection, PulsarModule, type TransportConsumer } from '@smartpulse/pulsar';
import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import { ResilienceModule } from '@smartpulse/resilience';
import { type EmbeddedParts } from '../hosting/embedded-parts.js';
import { rowName } from './row-name.js';

/** The property that names a relayed event's row in the outbox. */
const OUTBOX_ID = 'outbox-id';

/** Messages that may be on their way to the witness. */
const PERMITS = 1_000;

/**
 * Listens to both topics on subscriptions of its own, straight at the transport, and writes down what was delivered: the audit compares it
 * with the database. It knows nothing of the libraries' own counters.
 */
export class Witness {
  readonly #highest = new Map<string, bigint>();
  readonly #events = new Set<string>();
  readonly #messages = new Map<string, Set<string>>();
  readonly #consumers: TransportConsumer[] = [];
  #app: INestApplicationContext | undefined;
  #envelopes = 0;
  #failure: Error | undefined;

  constructor(
    private readonly parts: EmbeddedParts,
    private readonly contracts: ForecastContracts,
  ) {}

  /** Change envelopes that were delivered. */
  get deliveredEnvelopes(): number {
    return this.#envelopes;
  }

  /** Different messages that were delivered, of every kind and on both topics. */
  get deliveredMessages(): number {
    return [...this.#messages.values()].reduce((sum, ids) => sum + ids.size, 0);
  }

  /** Different messages that were delivered on a topic, by its full name. */
  deliveredOn(topic: string): number {
    this.#check();
    return this.#messages.get(topic)?.size ?? 0;
  }

  /** Subscribes from the earliest message on. */
  async start(): Promise<void> {
    this.#app = await openConnection(this.parts);
    const connection = this.#app.get(PulsarConnection);
    await this.#listen(connection, this.contracts.change.topic, (message) => this.#noteEnvelope(message));
    await this.#listen(connection, this.contracts.computed.topic, (message) => this.#noteEvent(message));
  }

  /**
   * Whether the row was delivered in this version or a later one.
   *
   * @throws whatever went wrong while listening.
   */
  saw(row: string, version: bigint): boolean {
    this.#check();
    return (this.#highest.get(row) ?? -1n) >= version;
  }

  /** Whether the outbox event arrived. */
  sawEvent(id: string): boolean {
    this.#check();
    return this.#events.has(id);
  }

  async stop(): Promise<void> {
    for (const consumer of this.#consumers) {
      await consumer.unsubscribe();
    }
    await this.#app?.close();
  }

  async #listen(connection: PulsarConnection, topic: string, note: (message: IncomingMessage) => void): Promise<void> {
    const ids = new Set<string>();
    const fullName = connection.topicName(topic);
    this.#messages.set(fullName, ids);
    const consumer: TransportConsumer = await connection.transport.subscribe(
      {
        topic: fullName,
        subscription: 'witness',
        type: 'Exclusive',
        initialPosition: 'earliest',
        durable: true,
      },
      {
        onMessage: (message) => {
          ids.add(message.id.toString());
          note(message);
          consumer.ack(message.id).then(
            () => consumer.permit(1),
            (error: Error) => (this.#failure ??= error),
          );
        },
        onClosed: (error) => (this.#failure ??= error),
      },
    );
    this.#consumers.push(consumer);
    consumer.permit(PERMITS);
  }

  #noteEnvelope(message: IncomingMessage): void {
    const envelope = decodeEnvelope(message.payload);
    if (envelope.kind !== 'change') {
      return;
    }
    this.#envelopes += 1;
    for (const { pk, version } of envelope.changes) {
      const row = rowName(pk);
      const number = BigInt(version);
      if (number > (this.#highest.get(row) ?? -1n)) {
        this.#highest.set(row, number);
      }
    }
  }

  #noteEvent(message: IncomingMessage): void {
    const id = message.properties[OUTBOX_ID];
    if (id !== undefined) {
      this.#events.add(id);
    }
  }

  #check(): void {
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
  }
}

/** The root of an app that has a connection and nothing else. */
@Module({})
class WitnessModule {}

function openConnection({ broker, clock, random }: EmbeddedParts): Promise<INestApplicationContext> {
  return NestFactory.createApplicationContext(
    {
      module: WitnessModule,
      imports: [
        ResilienceModule.forRoot({ clock, random }),
        PulsarModule.forRoot(
          broker instanceof InProcessBroker
            ? { url: 'memory://', transport: new InProcessTransport(broker), ownTransport: true }
            : broker,
        ),
      ],
    },
    { logger: false, abortOnError: false },
  );
}
