import { decodeEnvelope } from '@smartpulse/data-sync';
import { type IncomingMessage, type PulsarTransport, type TransportConsumer } from '@smartpulse/pulsar';
import { forecastChange, forecastComputed } from '@smartpulse/production-forecast-contract';
import { rowName } from './row-name.js';

/** Where the topics of both apps are on an in-process broker. */
const NAMESPACE = 'persistent://public/default';

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
  readonly #consumers: TransportConsumer[] = [];
  #envelopes = 0;
  #failure: Error | undefined;

  constructor(private readonly transport: PulsarTransport) {}

  /** Change envelopes that were delivered. */
  get deliveredEnvelopes(): number {
    return this.#envelopes;
  }

  /** Subscribes from the earliest message on. */
  async start(): Promise<void> {
    await this.transport.connect();
    await this.#listen(forecastChange.topic, (message) => this.#noteEnvelope(message));
    await this.#listen(forecastComputed.topic, (message) => this.#noteEvent(message));
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
    await this.transport.close();
  }

  async #listen(topic: string, note: (message: IncomingMessage) => void): Promise<void> {
    const consumer: TransportConsumer = await this.transport.subscribe(
      {
        topic: `${NAMESPACE}/${topic}`,
        subscription: 'witness',
        type: 'Exclusive',
        initialPosition: 'earliest',
        durable: true,
      },
      {
        onMessage: (message) => {
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
