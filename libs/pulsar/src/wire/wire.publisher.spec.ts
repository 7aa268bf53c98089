import { trace } from '@opentelemetry/api';
import type { PulsarClient } from '@smartpulse/pulsar-wire';
import { clientOf, FakeBroker, finish as finishWith } from '@smartpulse/pulsar-wire/testing';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PulsarConnection } from '../connection/pulsar.connection.js';
import { InProcessBroker } from '../in-process/in-process.broker.js';
import { InProcessTransport } from '../in-process/in-process.transport.js';
import { PulsarPublisher } from '../producer/pulsar.publisher.js';
import { PulsarTelemetry } from '../pulsar.telemetry.js';
import type { TransportProducer, TransportProducerOptions } from '../transport/pulsar.transport.js';
import { resolveOptions } from '../transport/resolve-options.js';
import { wireFailure } from './wire.failures.js';
import { WireTransportProducer } from './wire.producer.js';

/** Producers of the wire client on a broker in memory; nothing else is used. */
class WireProducers extends InProcessTransport {
  constructor(
    clock: VirtualClock,
    private readonly client: PulsarClient,
  ) {
    super(new InProcessBroker({ clock, random: new SeededRandom(1) }));
  }

  override async createProducer({ topic, batching }: TransportProducerOptions): Promise<TransportProducer> {
    try {
      return new WireTransportProducer(topic, await this.client.createProducer({ topic, batching }), () => {});
    } catch (error) {
      throw wireFailure(error, topic);
    }
  }
}

describe('a publisher on the wire client', () => {
  let clock: VirtualClock;
  let broker: FakeBroker;
  let client: PulsarClient;
  let publisher: PulsarPublisher;

  beforeEach(() => {
    clock = new VirtualClock();
    broker = new FakeBroker();
    const random = new SeededRandom(1);
    client = clientOf(broker, { clock, random }).client;
    const transport = new WireProducers(clock, client);
    const options = resolveOptions('test', { url: 'memory://', transport, producer: { batching: false } });
    publisher = new PulsarPublisher(
      new PulsarConnection(options, clock, random),
      options,
      clock,
      new PulsarTelemetry(),
      random,
    );
  });

  afterEach(async () => {
    trace.disable();
    await finish(publisher.close());
    await finish(client.close());
    expect(clock.pendingTimers).toBe(0);
  });

  const finish = <T>(work: Promise<T>): Promise<T> => finishWith(clock, work);
  const publish = (): Promise<unknown> => finish(publisher.publish('orders', 'x'));

  function refuse(error: number): void {
    broker.script('producer', (connection, { requestId }) => {
      connection.send('error', { requestId, error, message: 'No.' });
      return true;
    });
  }

  it.each([
    ['the right was taken away', 4, 'SMARTPULSE_PULSAR_AUTHORIZATION'],
    ['the topic was deleted', 11, 'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND'],
    ['another producer took the topic', 25, 'SMARTPULSE_PULSAR_PRODUCER_FENCED'],
  ])('says why while %s, and publishes again as soon as that is over', async (_why, error, code) => {
    await publish();
    refuse(error);
    broker.open.at(-1)?.cut();
    await clock.advance(1_000);

    await expect(publish()).rejects.toMatchObject({ code, ambiguous: false });
    broker.unscript('producer');
    await publish();
    expect(publisher.producers).toBe(1);
  });

  it('hands on what a tracer throws to the publish that it watched, and to no other part', async () => {
    const span = trace.wrapSpanContext({ traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 0 });
    let broken = true;
    span.end = () => {
      if (broken) {
        throw new Error('The exporter is full.');
      }
    };
    trace.setGlobalTracerProvider({
      getTracer: () => ({
        startActiveSpan: () => expect.fail('no span is made the active one'),
        startSpan: () => span,
      }),
    });
    await expect(publish()).rejects.toThrow('The exporter is full.');
    refuse(16);
    broker.open.at(-1)?.cut();
    await expect(finish(publisher.publish('audit', 'x'))).rejects.toThrow('The exporter is full.');

    broken = false;
    broker.unscript('producer');
    await publish();
    await finish(publisher.publish('audit', 'x'));
    expect(publisher.pending).toBe(0);
  });

  it('asks for a producer once for each publish that is refused', async () => {
    refuse(16);
    await expect(publish()).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_PRODUCER_BUSY' });
    expect(broker.all('producer')).toHaveLength(1);
    broker.unscript('producer');
    await publish();
  });

  it('asks a broker that refuses the producer again and again a few times, not with each publish', async () => {
    refuse(4);
    for (let call = 0; call < 1_000; call++) {
      await expect(publish()).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_AUTHORIZATION' });
      await clock.advance(10);
    }
    // In 10 seconds and a little: twice at once, then after 100, 200, 400 ms and so on.
    expect(broker.all('producer').length).toBeLessThan(12);

    broker.unscript('producer');
    await clock.advance(5_000);
    await publish();
  });
});
