import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  PulsarConsumers,
  PulsarModule,
  type PulsarModuleOptions,
  PulsarPublisher,
  type PulsarTransport,
} from '@smartpulse/pulsar';
import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import { FaultInjectingTransport } from '@smartpulse/pulsar/testing';
import { type Clock, ResilienceModule, SystemClock } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';

/** An app whose way to the broker can fail. */
export interface FaultyApp {
  readonly app: INestApplicationContext;
  readonly transport: FaultInjectingTransport;
  readonly publisher: PulsarPublisher;
  readonly consumers: PulsarConsumers;
}

/** What happens to a real broker. */
export interface WorldBroker {
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** Makes a topic of so many partitions. */
  partition(topic: string, count: number): Promise<void>;
}

/** Where the cases of the fault matrix happen: a broker, its apps, and time. */
export interface FaultWorld {
  readonly clock: Clock;
  /** Starts an app. `near`: its connection is never cut. */
  start(options?: Partial<PulsarModuleOptions>, place?: 'near'): Promise<FaultyApp>;
  /** The name of a topic that nobody used. */
  topic(): string;
  /** Lets time pass, real or virtual. */
  pass(ms: number): Promise<void>;
  /** @throws Error when it does not come to pass. */
  until(condition: () => boolean, what: string): Promise<void>;
  /** Cuts the connections of every app that is not near. */
  cut(): Promise<void>;
  /** Lets time go on until a promise settles. */
  elapse(promise: Promise<void>): Promise<void>;
  readonly broker?: WorldBroker | undefined;
  close(): Promise<void>;
}

/** Waits that suit tests; everything else as an app has it. */
const BRISK = Object.freeze({
  initialPosition: 'earliest',
  backoff: Object.freeze({ initialMs: 20, maxMs: 200 }),
} as const);

async function startApp(
  clock: Clock | undefined,
  transport: FaultInjectingTransport,
  options: Partial<PulsarModuleOptions>,
): Promise<FaultyApp> {
  @Module({
    imports: [
      ResilienceModule.forRoot(clock === undefined ? {} : { clock, random: new SeededRandom() }),
      PulsarModule.forRoot({
        url: 'memory://',
        transport,
        ownTransport: true,
        namespace: 'public/default',
        ...options,
        consumer: { ...BRISK, ...options.consumer },
        producer: { batching: false, ...options.producer },
      }),
    ],
  })
  class AppModule {}
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
  return { app, transport, publisher: app.get(PulsarPublisher), consumers: app.get(PulsarConsumers) };
}

/** A world of virtual time with its broker in the process. */
export function inProcessWorld(clock = new VirtualClock()): FaultWorld {
  const broker = new InProcessBroker({ clock, random: new SeededRandom() });
  const apps: FaultyApp[] = [];
  const far: FaultyApp[] = [];
  let topics = 0;
  const elapse = async (promise: Promise<void>): Promise<void> => {
    let isSettled = false;
    const watched = promise.finally(() => (isSettled = true));
    await Promise.all([watched, clock.until(() => isSettled)]);
  };
  return {
    clock,
    start: async (options = {}, place) => {
      const started = await startApp(clock, new FaultInjectingTransport(new InProcessTransport(broker)), options);
      apps.push(started);
      if (place !== 'near') {
        far.push(started);
      }
      return started;
    },
    topic: () => `faults-${topics++}`,
    pass: (ms) => clock.advance(ms),
    until: async (condition, what) => {
      try {
        await clock.until(condition, 600_000);
      } catch (error) {
        throw new Error(`It did not come to pass that ${what}.`, { cause: error });
      }
    },
    cut: async () => {
      await Promise.all(far.map(({ transport }) => transport.dropConsumers()));
    },
    elapse,
    close: async () => {
      await elapse(Promise.all(apps.map(({ app }) => app.close())).then(() => undefined));
      await broker.close();
    },
  };
}

/** What a world on a real broker needs. */
export interface BrokerWorldOptions {
  /** Another transport to the broker, around the proxy when it is near. */
  readonly connect: (place: 'near' | 'far') => PulsarTransport;
  readonly cut: () => void;
  readonly broker: WorldBroker;
}

/** A world of real time on a broker elsewhere. */
export function brokerWorld({ connect, cut, broker }: BrokerWorldOptions): FaultWorld {
  const clock = new SystemClock();
  const run = Math.floor(clock.now()).toString(36);
  const apps: FaultyApp[] = [];
  let topics = 0;
  return {
    clock,
    start: async (options = {}, place) => {
      const transport = new FaultInjectingTransport(connect(place ?? 'far'));
      const started = await startApp(undefined, transport, options);
      apps.push(started);
      return started;
    },
    topic: () => `faults-${run}-${topics++}`,
    pass: (ms) => clock.sleep(ms),
    until: async (condition, what) => {
      const endMs = clock.monotonic() + 60_000;
      while (!condition()) {
        if (clock.monotonic() > endMs) {
          throw new Error(`It did not come to pass within a minute that ${what}.`);
        }
        await clock.sleep(10);
      }
    },
    cut: async () => cut(),
    elapse: (promise) => promise,
    broker,
    close: async () => {
      await Promise.all(apps.map(({ app }) => app.close()));
    },
  };
}
