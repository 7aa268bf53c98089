import { Global, Module } from '@nestjs/common';
import { PulsarAdmin } from './admin/pulsar.admin.js';
import { PulsarProvisioner } from './admin/pulsar.provisioner.js';
import { PulsarAsyncApi } from './asyncapi/pulsar.async-api.js';
import { PulsarConnection } from './connection/pulsar.connection.js';
import { PulsarConsumers } from './consumer/pulsar.consumers.js';
import { PulsarRegistry } from './consumer/pulsar.registry.js';
import { PulsarDeadLetters } from './dead-letters/pulsar.dead-letters.js';
import { PulsarHealthProbe } from './health/pulsar.health-probe.js';
import { PulsarPublisher } from './producer/pulsar.publisher.js';
import { PulsarClaim } from './pulsar.claim.js';
import { PulsarShutdown } from './pulsar.shutdown.js';
import { PulsarTelemetry } from './pulsar.telemetry.js';

const SHARED = [
  PulsarAdmin,
  PulsarAsyncApi,
  PulsarClaim,
  PulsarConnection,
  PulsarPublisher,
  PulsarRegistry,
  PulsarConsumers,
  PulsarDeadLetters,
  PulsarHealthProbe,
];

/** What there is exactly once in an app: the connection, the producers, the registered consumers. */
@Global()
@Module({ providers: [...SHARED, PulsarProvisioner, PulsarTelemetry, PulsarShutdown], exports: SHARED })
export class PulsarCoreModule {}
