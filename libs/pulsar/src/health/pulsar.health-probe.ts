import { Inject, Injectable } from '@nestjs/common';
import { HealthProbe, type ProbeResult } from '@smartpulse/resilience';
import { PulsarConnection } from '../connection/pulsar.connection.js';
import type { ConsumerState, PulsarConsumerHandle } from '../consumer/consumer-options.js';
import { PulsarConsumers } from '../consumer/pulsar.consumers.js';
import { PulsarPublisher } from '../producer/pulsar.publisher.js';

/** Consumers whose state is told one by one; of the others only how many there are. */
const MAX_TOLD = 50;

/** `down` without a connection, `degraded` while a consumer reconnects, waits for its infrastructure or stands still because too many of its runs failed. */
@Injectable()
export class PulsarHealthProbe extends HealthProbe {
  readonly name = 'pulsar';
  readonly #connection: PulsarConnection;
  readonly #consumers: PulsarConsumers;
  readonly #publisher: PulsarPublisher;

  constructor(
    @Inject(PulsarConnection) connection: PulsarConnection,
    @Inject(PulsarConsumers) consumers: PulsarConsumers,
    @Inject(PulsarPublisher) publisher: PulsarPublisher,
  ) {
    super();
    this.#connection = connection;
    this.#consumers = consumers;
    this.#publisher = publisher;
  }

  override started(): boolean {
    return (this.#connection.state === 'connected' || this.#connection.startsWithout) && this.#consumers.subscribed;
  }

  override check(): ProbeResult {
    const consumers = this.#consumers.all;
    const count = (status: string): number => consumers.filter(({ state }) => state.status === status).length;
    const impaired = count('outage') + count('reconnecting') + count('tripped');
    const connected = this.#connection.state === 'connected';
    return {
      status: connected ? (impaired > 0 ? 'degraded' : 'up') : 'down',
      details: {
        transport: this.#connection.transport.name,
        durable: this.#connection.transport.durable,
        shared: this.#connection.transport.shared,
        connection: this.#connection.state,
        consumers: consumers.length,
        inOutage: count('outage'),
        reconnecting: count('reconnecting'),
        tripped: count('tripped'),
        paused: count('paused'),
        inFlight: consumers.reduce((sum, consumer) => sum + consumer.stats().inFlight, 0),
        producers: this.#publisher.producers,
        pendingSends: this.#publisher.pending,
        ...eachOf(consumers),
      },
    };
  }
}

/** `consumer orders/billing`: `outage since 2026-01-01T00:00:00.000Z, 3 in flight`; those in trouble first. */
function eachOf(consumers: readonly PulsarConsumerHandle[]): Readonly<Record<string, string | number>> {
  const sound = (one: PulsarConsumerHandle): number => (one.state.status === 'consuming' ? 1 : 0);
  const told = consumers.toSorted((one, other) => sound(one) - sound(other)).slice(0, MAX_TOLD);
  const left = consumers.length - told.length;
  return {
    ...Object.fromEntries(
      told.map((one) => [`consumer ${one.id}`, `${stateText(one.state)}, ${one.stats().inFlight} in flight`]),
    ),
    ...(left > 0 ? { consumersNotShown: left } : {}),
  };
}

function stateText(state: ConsumerState): string {
  if ('sinceMs' in state && state.sinceMs !== undefined) {
    return `${state.status} since ${new Date(state.sinceMs).toISOString()}`;
  }
  return state.status === 'reconnecting' ? `reconnecting, attempt ${state.attempt}` : state.status;
}
