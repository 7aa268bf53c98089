import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { ShutdownCoordinator } from '@smartpulse/resilience';
import { PulsarConnection } from './connection/pulsar.connection.js';
import { PulsarConsumers } from './consumer/pulsar.consumers.js';
import { PulsarDeadLetters } from './dead-letters/pulsar.dead-letters.js';
import { PulsarPublisher } from './producer/pulsar.publisher.js';
import { PulsarTelemetry } from './pulsar.telemetry.js';

/** This package's share of the ordered stop: intake, running handlers, what lingers in producers, connections. */
@Injectable()
export class PulsarShutdown implements OnModuleInit {
  readonly #shutdown: ShutdownCoordinator;
  readonly #consumers: PulsarConsumers;
  readonly #publisher: PulsarPublisher;
  readonly #connection: PulsarConnection;
  readonly #telemetry: PulsarTelemetry;
  readonly #deadLetters: PulsarDeadLetters;

  constructor(
    @Inject(ShutdownCoordinator) shutdown: ShutdownCoordinator,
    @Inject(PulsarConsumers) consumers: PulsarConsumers,
    @Inject(PulsarPublisher) publisher: PulsarPublisher,
    @Inject(PulsarConnection) connection: PulsarConnection,
    @Inject(PulsarTelemetry) telemetry: PulsarTelemetry,
    @Inject(PulsarDeadLetters) deadLetters: PulsarDeadLetters,
  ) {
    this.#shutdown = shutdown;
    this.#consumers = consumers;
    this.#publisher = publisher;
    this.#connection = connection;
    this.#telemetry = telemetry;
    this.#deadLetters = deadLetters;
  }

  onModuleInit(): void {
    this.#shutdown.register({ name: 'pulsar intake', phase: 'intake', stop: () => this.#consumers.stopIntake() });
    this.#shutdown.register({
      name: 'pulsar handlers',
      phase: 'work',
      stop: ({ timeoutMs, signal }) => this.#consumers.finish(timeoutMs, signal),
    });
    this.#shutdown.register({ name: 'pulsar dead letters', phase: 'work', stop: () => this.#deadLetters.finish() });
    this.#shutdown.register({ name: 'pulsar producers', phase: 'flush', stop: () => this.#publisher.flush() });
    this.#shutdown.register({ name: 'pulsar clients', phase: 'clients', stop: () => this.#close() });
  }

  /** Consumers first: their last dead letters and acknowledgements need the producers and the connection. */
  async #close(): Promise<void> {
    await this.#consumers.close();
    await this.#publisher.close();
    await this.#connection.close();
    this.#telemetry.close();
  }
}
