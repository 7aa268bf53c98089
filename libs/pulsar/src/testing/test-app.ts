import { type DynamicModule, type INestApplicationContext, Module, type Provider, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ResilienceModule } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { PulsarConsumers } from '../consumer/pulsar.consumers.js';
import { InProcessBroker } from '../in-process/in-process.broker.js';
import { InProcessTransport } from '../in-process/in-process.transport.js';
import { PulsarPublisher } from '../producer/pulsar.publisher.js';
import { PulsarModule } from '../pulsar.module.js';
import type { PulsarModuleOptions } from '../pulsar.options.js';
import { FaultInjectingTransport } from './fault-injecting.transport.js';

/** What an app under test is made of, beside the two modules that it always has. */
export interface TestAppParts {
  readonly providers?: readonly Provider[];
  readonly imports?: readonly (DynamicModule | Type)[];
  readonly options?: Partial<PulsarModuleOptions>;
  /** Another app's, to meet it there. */
  readonly broker?: InProcessBroker;
}

/** An app on virtual time, a broker in the process and a transport that can fail. */
export interface TestApp {
  readonly app: INestApplicationContext;
  readonly clock: VirtualClock;
  readonly broker: InProcessBroker;
  readonly transport: FaultInjectingTransport;
  readonly publisher: PulsarPublisher;
  readonly consumers: PulsarConsumers;
  /** Closes the app while time goes on. */
  close(): Promise<void>;
}

/** The parts of an app that has not been created: for tests of its start. */
export function testModule(parts: TestAppParts = {}): {
  readonly module: Type;
  readonly clock: VirtualClock;
  readonly broker: InProcessBroker;
  readonly transport: FaultInjectingTransport;
} {
  const clock = parts.broker === undefined ? new VirtualClock() : virtual(parts.broker);
  const broker = parts.broker ?? new InProcessBroker({ clock, random: new SeededRandom() });
  const transport = new FaultInjectingTransport(new InProcessTransport(broker));
  const pulsar = PulsarModule.forRoot({
    url: 'memory://',
    transport,
    ownTransport: true,
    ...parts.options,
    producer: { batching: false, ...parts.options?.producer },
  });
  @Module({
    imports: [ResilienceModule.forRoot({ clock, random: new SeededRandom() }), pulsar, ...(parts.imports ?? [])],
    providers: [...(parts.providers ?? [])],
  })
  class AppModule {}
  return { module: AppModule, clock, broker, transport };
}

/** Starts an app under test; its messages are not batched unless its options say so. */
export async function startApp(parts: TestAppParts = {}): Promise<TestApp> {
  const { module, clock, broker, transport } = testModule(parts);
  const app = await NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
  return {
    app,
    clock,
    broker,
    transport,
    publisher: app.get(PulsarPublisher),
    consumers: app.get(PulsarConsumers),
    close: async () => {
      const closing = app.close();
      await clock.advance(120_000);
      await closing;
    },
  };
}

function virtual({ clock }: InProcessBroker): VirtualClock {
  if (!(clock instanceof VirtualClock)) {
    throw new TypeError('An app under test runs on virtual time.');
  }
  return clock;
}
