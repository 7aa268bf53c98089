import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { propagation, type TextMapPropagator, trace } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { PulsarConnection } from '../connection/pulsar.connection.js';
import { defineEvent } from '../event/define-event.js';
import { InProcessBroker } from '../in-process/in-process.broker.js';
import { InProcessTransport } from '../in-process/in-process.transport.js';
import { PulsarClosedError } from '../pulsar.errors.js';
import type { PulsarModuleOptions } from '../pulsar.options.js';
import { PulsarTelemetry } from '../pulsar.telemetry.js';
import { FaultInjectingTransport, injectedFault } from '../testing/fault-injecting.transport.js';
import { consume, textOf } from '../testing/transport-fixture.js';
import { resolveOptions } from '../transport/resolve-options.js';
import { PulsarPublisher } from './pulsar.publisher.js';

function open(producer: PulsarModuleOptions['producer'] = { batching: false }) {
  const clock = new VirtualClock();
  const random = new SeededRandom();
  const broker = new InProcessBroker({ clock, random });
  const transport = new FaultInjectingTransport(new InProcessTransport(broker));
  const options = resolveOptions('test', { url: 'memory://', transport, producer });
  const connection = new PulsarConnection(options, clock, random);
  return {
    clock,
    broker,
    transport,
    publisher: new PulsarPublisher(connection, options, clock, new PulsarTelemetry()),
  };
}
const TOPIC = 'persistent://public/default/t';
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const;

afterEach(() => {
  propagation.disable();
  trace.disable();
});

describe('PulsarPublisher', () => {
  it('answers what became of each item, in order, and does not wait for the linger', async () => {
    const { broker, publisher, transport } = open({});
    transport.plan = ({ point, topic, message }) =>
      point === 'send' && message?.key === 'bad' ? injectedFault(topic) : undefined;
    const outcomes = await publisher.publishMany<unknown>('t', [
      { data: 1 },
      { data: 2, options: { key: 'bad' } },
      { data: 3n },
      { data: 4 },
    ]);
    expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'stored' : outcome.error.code))).toEqual([
      'stored',
      'SMARTPULSE_PULSAR_INJECTED',
      'SMARTPULSE_PULSAR_ENCODING',
      'stored',
    ]);
    expect(broker.stats(TOPIC).messages).toBe(2);
  });

  it('takes key and codec from the contract', async () => {
    const { clock, publisher, transport } = open();
    const heard = await consume(transport, TOPIC);
    const event = defineEvent<{ id: string }>({
      name: 'e',
      topic: 't',
      schema: anything as never,
      key: ({ id }) => id,
    });
    await publisher.publish(event, { id: 'k1' });
    await publisher.publish(event, { id: 'k2' }, { key: 'own' });
    await clock.settle();
    expect(heard.messages.map((message) => [message.key, textOf(message)])).toEqual([
      ['k1', '{"id":"k1"}'],
      ['own', '{"id":"k2"}'],
    ]);
  });

  it('makes a producer anew that its transport had given up, once, when nothing was sent', async () => {
    const { broker, publisher, transport } = open();
    await publisher.publish('t', 1);
    transport.plan = ({ point, topic, count }) =>
      point === 'send' && count === 1 ? new PulsarClosedError('producer', topic) : undefined;
    await publisher.publish('t', 2);
    expect(broker.stats(TOPIC).messages).toBe(2);
    expect(transport.passed('createProducer')).toBe(2);
  });

  it('never repeats a send that may have been stored', async () => {
    const { broker, publisher, transport } = open();
    transport.plan = ({ point, topic }) =>
      point === 'afterSend' ? injectedFault(topic, { kind: 'recreate', ambiguous: true }) : undefined;
    await expect(publisher.publish('t', 1)).rejects.toMatchObject({ ambiguous: true });
    expect(broker.stats(TOPIC).messages).toBe(1);
  });

  it.each([
    [{ deliverAtMs: 1, deliverAfterMs: 1 }, 'both given'],
    [{ deliverAfterMs: -1 }, 'no time'],
    [{ sequenceId: 1n }, 'producer name'],
  ])('refuses %o', async (options, problem) => {
    const { publisher } = open();
    await expect(publisher.publish('t', 1, options)).rejects.toThrow(problem);
  });

  it('traces from the moment on in which somebody registers a tracer, also after the start', async () => {
    const { publisher } = open();
    await publisher.publish('t', 1);
    const names: string[] = [];
    const span = trace.wrapSpanContext({ traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 0 });
    trace.setGlobalTracerProvider({
      getTracer: () => ({
        startActiveSpan: () => expect.fail('no span is made the active one'),
        startSpan: (name) => {
          names.push(name);
          return span;
        },
      }),
    });
    await publisher.publish('t', 2);
    expect(names).toEqual([`send ${TOPIC}`]);
  });

  it('writes the trace context into the properties beside the own ones', async () => {
    const { clock, publisher, transport } = open();
    const heard = await consume(transport, TOPIC);
    const propagator: TextMapPropagator<Record<string, string>> = {
      inject: (_context, carrier, setter) => setter.set(carrier, 'traceparent', '00-1-2-01'),
      extract: (given) => given,
      fields: () => ['traceparent'],
    };
    propagation.setGlobalPropagator(propagator as TextMapPropagator);
    await publisher.publish('t', 1, { properties: { own: 'kept' } });
    await clock.settle();
    expect({ ...heard.messages[0]?.properties }).toEqual({ own: 'kept', traceparent: '00-1-2-01' });
  });

  it('delivers after the asked delay', async () => {
    const { clock, publisher, transport } = open();
    const heard = await consume(transport, TOPIC);
    await publisher.publish('t', 1, { deliverAfterMs: 2_000 });
    await clock.advance(1_900);
    expect(heard.messages).toHaveLength(0);
    await clock.advance(200);
    expect(heard.messages).toHaveLength(1);
  });

  it('flush sends what lingers', async () => {
    const { broker, clock, publisher } = open({ batchMaxDelayMs: 60_000 });
    const sent = publisher.publish('t', 1);
    await clock.settle();
    expect(broker.stats(TOPIC).messages).toBe(0);
    await publisher.flush('t');
    await sent;
    expect(broker.stats(TOPIC).messages).toBe(1);
    await publisher.close();
    expect(clock.pendingTimers).toBe(0);
  });
});
