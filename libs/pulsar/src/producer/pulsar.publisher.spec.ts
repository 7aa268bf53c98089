import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { propagation, type TextMapPropagator, trace } from '@opentelemetry/api';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
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

function open(producer: PulsarModuleOptions['producer'] = { batching: false }, shared?: InProcessBroker) {
  const clock = shared?.clock instanceof VirtualClock ? shared.clock : new VirtualClock();
  const random = new SeededRandom();
  const broker = shared ?? new InProcessBroker({ clock, random });
  const transport = new FaultInjectingTransport(new InProcessTransport(broker));
  const options = resolveOptions('test', { url: 'memory://', transport, producer });
  const connection = new PulsarConnection(options, clock, random);
  return {
    clock,
    broker,
    transport,
    publisher: new PulsarPublisher(connection, options, clock, new PulsarTelemetry(), random),
  };
}
const TOPIC = 'persistent://public/default/t';
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const;

afterEach(() => {
  propagation.disable();
  trace.disable();
});

describe('PulsarPublisher', () => {
  it('says what is wrong with a topic that is none, and with a key that is no text', async () => {
    const { publisher } = open();
    const loose: { readonly topic?: string; readonly key?: string } = JSON.parse('{ "key": 5 }');
    await expect(publisher.publish(loose.topic as string, 1)).rejects.toThrow(
      'expected a topic name or what defineEvent answers, found undefined',
    );
    await expect(publisher.publish('t', 1, { key: loose.key })).rejects.toMatchObject({
      code: 'SMARTPULSE_PULSAR_INVALID_OPTIONS',
      message: expect.stringContaining('the key is of type number, and keys are texts') as unknown,
    });
    await publisher.close();
  });

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

  it('sends to each topic as is said for it, and to the others as for all', async () => {
    const { publisher, transport } = open({
      batching: false,
      maxPendingBytes: 5_000,
      topics: {
        orders: { batching: true, batchMaxMessages: 7, producerName: 'relay' },
        'persistent://public/default/audit': { maxPendingMessages: 3 },
      },
    });
    const create = vi.spyOn(transport, 'createProducer');
    await publisher.publishMany('orders', [{ data: 1, options: { sequenceId: 1n } }]);
    await publisher.publish('audit', 1);
    await publisher.publish('t', 1);
    await publisher.publish('public/default/t', 2);
    expect(create.mock.calls.map(([options]) => options)).toMatchObject([
      { producerName: 'relay', batching: { enabled: true, maxMessages: 7, maxDelayMs: 100 }, maxPendingBytes: 5_000 },
      { topic: 'persistent://public/default/audit', batching: { enabled: false }, maxPendingMessages: 3 },
      { topic: TOPIC, maxPendingMessages: 500 },
    ]);
    await expect(publisher.publish('t', 1, { sequenceId: 1n })).rejects.toThrow(/producer.topics/);
  });

  it('bounds the publishes that may wait, topic by topic', async () => {
    const { clock, publisher, transport } = open({
      topics: { narrow: { maxPendingMessages: 1, maxWaitingMessages: 1 } },
    });
    transport.plan = ({ point }) => (point === 'send' ? clock.sleep(10).then(() => undefined) : undefined);
    const sends = ['narrow', 'narrow', 'wide', 'wide'].map((topic) => publisher.publish(topic, 1));
    await expect(publisher.publish('narrow', 1)).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_SENDS_FULL' });
    await clock.advance(1_000);
    await Promise.all(sends);
  });

  it.each([
    [{ topics: { 'a b': {} } }, /producer\.topics\["a b"\]/],
    [{ topics: { t: {}, 'public/default/t': {} } }, /a second time/],
    [{ topics: { t: { poolMax: 1 } as object } }, /poolMax/],
    [{ topics: { t: { compression: 'lz4' as const } } }, /producer\.topics\["[^"]*t"\]\.compression.*in-process/],
    [{ topics: { t: { batchMaxDelayMs: -1 } } }, /batchMaxDelayMs/],
  ])('refuses %o at start and names what is wrong', (producer, problem) => {
    expect(() => open(producer)).toThrow(problem);
  });

  it('carries the idempotency key as a property, and refuses one that says two things', async () => {
    const { clock, publisher, transport } = open();
    const heard = await consume(transport, TOPIC);
    await publisher.publish('t', 1, { idempotencyKey: 'order-7', properties: { own: 'kept' } });
    await clock.settle();
    expect({ ...heard.messages[0]?.properties }).toEqual({ own: 'kept', 'x-idempotency-key': 'order-7' });
    const properties = { 'x-idempotency-key': 'order-8' };
    await expect(publisher.publish('t', 1, { idempotencyKey: 'order-7', properties })).rejects.toThrow(/differ/);
    await expect(publisher.publish('t', 1, { idempotencyKey: '' })).rejects.toThrow(/names nothing/);
  });

  it('stores each sequence id once, in order, whatever is sent again after a crash', async () => {
    const cuts = fc.array(fc.record({ upTo: fc.nat(20), from: fc.nat(20) }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(cuts, async (crashes) => {
        const { broker, clock, transport, publisher } = open({ batching: false, producerName: 'relay' });
        const heard = await consume(transport, TOPIC);
        let stored = 0;
        let sender = publisher;
        for (const { upTo, from } of crashes) {
          // What a crashed sender had not noted is sent again, from anywhere before what is stored.
          const first = Math.min(from, stored) + 1;
          const ids = Array.from({ length: Math.max(0, upTo - first + 1) }, (_, index) => first + index);
          await sender.publishMany(
            't',
            ids.map((id) => ({ data: id, options: { sequenceId: BigInt(id) } })),
          );
          stored = Math.max(stored, ids.at(-1) ?? 0);
          await sender.close();
          sender = open({ batching: false, producerName: 'relay' }, broker).publisher;
        }
        await clock.settle();
        expect(heard.texts()).toEqual(Array.from({ length: stored }, (_, index) => String(index + 1)));
      }),
      { numRuns: 50 },
    );
  });

  it('tells what to do when another instance has the producer name', async () => {
    const { broker, publisher } = open({ batching: false, producerName: 'relay' });
    await publisher.publish('t', 1, { sequenceId: 1n });
    const second = open({ batching: false, producerName: 'relay' }, broker).publisher;
    await expect(second.publish('t', 1)).rejects.toThrow(/producerName of its own.*one instance at a time/);
  });

  it('gives up the wait for a topic that cannot be reached, when asked to, and sends nothing of it later', async () => {
    const { broker, clock, publisher, transport } = open();
    transport.plan = ({ point, topic }) =>
      point === 'createProducer' && topic === TOPIC ? clock.sleep(60_000).then(() => undefined) : undefined;
    const abort = new AbortController();
    const given = publisher.publish('t', 'given up', { signal: abort.signal });
    const early = publisher.publish('t', 'early', { signal: AbortSignal.abort() });
    const kept = [
      publisher.publish('t', 'first', { signal: new AbortController().signal }),
      publisher.publish('t', 'second'),
    ];
    await publisher.publish('other', 1);
    abort.abort();
    await expect(given).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_ABORTED', ambiguous: false });
    await expect(early).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_ABORTED' });
    await clock.advance(60_000);
    await Promise.all(kept);
    const heard = await consume(transport, TOPIC);
    await clock.settle();
    expect(heard.texts()).toEqual(['"first"', '"second"']);
    expect(broker.stats(TOPIC).messages).toBe(2);
    expect(publisher.pending).toBe(0);
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
