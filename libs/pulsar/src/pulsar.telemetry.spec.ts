import { context, propagation, trace } from '@opentelemetry/api';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { nack } from './consumer/settlement.js';
import { PulsarTelemetry } from './pulsar.telemetry.js';
import { RecordedTelemetry } from './testing/recorded-telemetry.js';
import { injectedFault } from './testing/fault-injecting.transport.js';
import { startApp, type TestAppParts } from './testing/test-app.js';

const TOPIC = 'persistent://public/default/t';
const SUBSCRIBED = { 'pulsar.tenant': 'public', 'pulsar.namespace': 'public/default', 'pulsar.subscription': 's' };
const OWNED = { 'pulsar.tenant': 'public', 'pulsar.namespace': 'public/default' };

const installed: RecordedTelemetry[] = [];
function sdk(): RecordedTelemetry {
  const recorded = new RecordedTelemetry().install();
  installed.push(recorded);
  return recorded;
}
afterEach(() => {
  for (const recorded of installed.splice(0)) {
    recorded.uninstall();
  }
});

const briefly = (recorded: RecordedTelemetry) =>
  recorded.spans.map(({ name, kind, parent, links }) => ({
    name: name.replace(TOPIC, 't'),
    kind,
    parent: parent?.replace(TOPIC, 't'),
    links: links.map((link) => link.replace(TOPIC, 't')),
  }));

async function withApp(
  options: TestAppParts['options'],
  run: (parts: Awaited<ReturnType<typeof startApp>>) => Promise<void>,
) {
  const parts = await startApp(options === undefined ? {} : { options });
  await run(parts);
  await parts.close();
}

describe('spans', () => {
  it('makes the handler a child of the publish, and what it publishes a child of the handler', async () => {
    const recorded = sdk();
    await withApp(undefined, async ({ clock, consumers, publisher }) => {
      await consumers.register({ topic: 't', subscription: 's' }, async () => {
        await publisher.publish('next', 1);
      });
      await publisher.publish('t', 1, { key: 'secret' });
      await clock.settle();
    });
    expect(briefly(recorded)).toEqual([
      { name: 'send t', kind: 'PRODUCER', parent: undefined, links: [] },
      { name: 'process t', kind: 'CONSUMER', parent: 'send t', links: [] },
      { name: 'send persistent://public/default/next', kind: 'PRODUCER', parent: 'process t', links: [] },
    ]);
    expect(recorded.spans.every(({ ended, failed }) => ended && !failed)).toBe(true);
    expect(JSON.stringify(recorded.spans)).not.toContain('secret');
    expect(recorded.spans[1]?.attributes).toEqual({
      'messaging.system': 'pulsar',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': TOPIC,
      'messaging.destination.subscription.name': 's',
    });
  });

  it('links instead, and traces acknowledgements and refusals, where that is asked for', async () => {
    const recorded = sdk();
    await withApp(
      { telemetry: { continueTrace: false, settleSpans: true } },
      async ({ clock, consumers, publisher }) => {
        await consumers.register({ topic: 't', subscription: 's' }, (_, { redeliveryCount }) =>
          redeliveryCount === 0 ? nack(10) : undefined,
        );
        await publisher.publish('t', 1);
        await clock.advance(1_000);
      },
    );
    const linked = { parent: undefined, links: ['send t'] };
    expect(briefly(recorded)).toEqual([
      { name: 'send t', kind: 'PRODUCER', parent: undefined, links: [] },
      { name: 'process t', kind: 'CONSUMER', ...linked },
      { name: 'nack t', kind: 'CLIENT', ...linked },
      { name: 'process t', kind: 'CONSUMER', ...linked },
      { name: 'ack t', kind: 'CLIENT', ...linked },
    ]);
  });

  it('creates each message of publishMany and sends all of them in one span that is linked to each', async () => {
    const recorded = sdk();
    await withApp(undefined, async ({ clock, consumers, publisher, transport }) => {
      await consumers.register({ topic: 't', subscription: 's' }, () => undefined);
      transport.plan = ({ point, topic, message }) =>
        point === 'send' && message?.key === 'bad' ? injectedFault(topic) : undefined;
      await publisher.publishMany('t', [{ data: 1 }, { data: 2, options: { key: 'bad' } }]);
      await clock.settle();
    });
    const [first, second, send, process] = briefly(recorded);
    expect([first, second]).toEqual(
      [1, 2].map(() => ({ name: 'create t', kind: 'PRODUCER', parent: undefined, links: [] })),
    );
    expect(send).toEqual({ name: 'send t', kind: 'CLIENT', parent: undefined, links: ['create t', 'create t'] });
    expect(process).toEqual({ name: 'process t', kind: 'CONSUMER', parent: 'create t', links: [] });
    expect(recorded.spans[2]).toMatchObject({
      ended: true,
      failed: true,
      attributes: { 'messaging.batch.message_count': 2, 'error.type': 'SMARTPULSE_PULSAR_INJECTED' },
    });
  });

  it('links a handler of a batch to what created each of its messages', async () => {
    const recorded = sdk();
    const telemetry = new PulsarTelemetry();
    const messages = ['a', 'b'].map((name) => {
      const span = trace.getTracer('test').startSpan(name);
      const properties: Record<string, string> = {};
      propagation.inject(trace.setSpan(context.active(), span), properties);
      return { properties };
    });
    const series = telemetry.addConsumer(TOPIC, 's');
    await telemetry.processBatch(
      series,
      TOPIC,
      [...messages, { properties: {} }],
      () => 0,
      async () => {
        expect(trace.getActiveSpan()).toBeDefined();
      },
    );
    expect(recorded.spans.at(-1)).toMatchObject({
      kind: 'CONSUMER',
      links: ['a', 'b'],
      ended: true,
      attributes: { 'messaging.batch.message_count': 3 },
    });
  });

  it('marks what failed with the class of its error', async () => {
    const recorded = sdk();
    await withApp(undefined, async ({ clock, consumers, publisher, transport }) => {
      await consumers.register({ topic: 't', subscription: 's', maxAttempts: 1, deadLetter: false }, () => {
        throw new RangeError('holds a key: 4711');
      });
      await publisher.publish('t', 1);
      await clock.settle();
      transport.plan = ({ point, topic }) => (point === 'send' ? injectedFault(topic) : undefined);
      await expect(publisher.publish('t', 2)).rejects.toThrow();
    });
    expect(recorded.spans.slice(1).map(({ attributes, failed }) => [attributes['error.type'], failed])).toEqual([
      ['RangeError', true],
      ['SMARTPULSE_PULSAR_INJECTED', true],
    ]);
    expect(JSON.stringify([recorded.spans, recorded.records])).not.toContain('4711');
  });

  it('finds an SDK that is registered when the app runs already', async () => {
    await withApp(undefined, async ({ publisher }) => {
      await publisher.publish('t', 1);
      const recorded = sdk();
      await publisher.publish('t', 2);
      expect(recorded.spans).toHaveLength(1);
    });
  });

  it('makes no span and asks for no time where nobody watches', async () => {
    const telemetry = new PulsarTelemetry();
    telemetry.onModuleInit();
    const nowMs = vi.fn(() => 0);
    const message = { payload: new Uint8Array(1) };
    expect(telemetry.startSend(TOPIC, message, nowMs)).toBeUndefined();
    expect(telemetry.startBatch()).toBeUndefined();
    const series = telemetry.addConsumer(TOPIC, 's');
    const done = Promise.resolve();
    const run = (): Promise<void> => done;
    telemetry.acknowledging(series, { topic: TOPIC, properties: {} }, done, nowMs);
    await telemetry.process(series, TOPIC, {}, nowMs, run);
    expect(nowMs).not.toHaveBeenCalled();
  });
});

describe('measurements', () => {
  it('times acknowledgements that the transport answers by one promise as one operation', async () => {
    const recorded = sdk();
    const telemetry = new PulsarTelemetry();
    telemetry.onModuleInit();
    const series = telemetry.addConsumer(TOPIC, 's');
    const [first, second] = [Promise.resolve(), Promise.resolve()];
    for (const receipt of [first, first, second]) {
      telemetry.acknowledging(series, { topic: TOPIC, properties: {} }, receipt, () => 0);
    }
    await Promise.all([first, second]);
    expect(recorded.records).toHaveLength(2);
    telemetry.close();
  });

  it('counts what was sent, received and settled, by destination and as Pulsar names it', async () => {
    const recorded = sdk();
    await withApp({ producer: { poolIdleMs: 1_000 } }, async ({ clock, consumers, publisher, transport }) => {
      const first = await consumers.register({ topic: 't', subscription: 's' }, () => undefined);
      await publisher.publish('t', 'abc');
      await clock.settle();
      await first.close();
      const second = await consumers.register({ topic: 't', subscription: 's', maxAttempts: 1 }, () => {
        throw new RangeError('no');
      });
      await publisher.publish('t', 'abc');
      await clock.settle();
      transport.plan = ({ point, topic }) => (point === 'send' && topic === TOPIC ? injectedFault(topic) : undefined);
      await expect(publisher.publish('t', 1)).rejects.toThrow();
      const sent = await recorded.observed('messaging.client.sent.messages');
      expect(sent.map(([attributes, count]) => [attributes['error.type'], count])).toEqual([
        [undefined, 2],
        [undefined, 1],
        ['SMARTPULSE_PULSAR_INJECTED', 1],
      ]);
      await second.close();
      await clock.advance(2_500);
      const value = async (name: string) => recorded.observed(`pulsar.client.${name}`);
      expect(await value('consumer.opened')).toEqual([[SUBSCRIBED, 2]]);
      expect(await value('consumer.closed')).toEqual([[SUBSCRIBED, 2]]);
      expect(await value('consumer.message.received.count')).toEqual([[SUBSCRIBED, 2]]);
      expect(await value('consumer.message.received.size')).toEqual([[SUBSCRIBED, 10]]);
      expect(await value('consumer.message.ack')).toEqual([[SUBSCRIBED, 2]]);
      expect(await value('consumer.message.dlq')).toEqual([[SUBSCRIBED, 1]]);
      expect(await value('producer.opened')).toEqual([[OWNED, 2]]);
      expect(await value('producer.closed')).toEqual([[OWNED, 2]]);
      expect(await value('producer.message.pending.count')).toEqual([[OWNED, 0]]);
      expect(await value('producer.message.send.size')).toEqual([[OWNED, 15]]);
    });
    expect(recorded.callbacks).toBe(0);
  });

  it('tells how many publishes are under way, and how large they are', async () => {
    const recorded = sdk();
    await withApp(undefined, async ({ clock, publisher, transport }) => {
      transport.plan = ({ point }) => (point === 'send' ? clock.sleep(1_000).then(() => undefined) : undefined);
      const sends = [publisher.publish('t', 'abc'), publisher.publish('u', 'a')];
      await clock.settle();
      expect(await recorded.observed('pulsar.client.producer.message.pending.count')).toEqual([[OWNED, 2]]);
      expect(await recorded.observed('pulsar.client.producer.message.pending.size')).toEqual([[OWNED, 8]]);
      await clock.advance(1_000);
      await Promise.all(sends);
      expect(await recorded.observed('pulsar.client.producer.message.pending.count')).toEqual([[OWNED, 0]]);
    });
  });

  it('times publishes, handlers and acknowledgements in seconds', async () => {
    const recorded = sdk();
    await withApp(undefined, async ({ clock, consumers, publisher, transport }) => {
      await consumers.register({ topic: 't', subscription: 's' }, () => clock.sleep(250));
      transport.plan = ({ point }) => (point === 'ack' ? clock.sleep(40).then(() => undefined) : undefined);
      await publisher.publish('t', 1);
      await clock.advance(1_000);
      await recorded.observed('messaging.client.sent.messages');
    });
    const timed = recorded.records.map(({ name, seconds, attributes }) => [
      attributes['messaging.operation.name'],
      name,
      seconds,
    ]);
    expect(timed.toSorted(([a], [b]) => String(a).localeCompare(String(b)))).toEqual([
      ['ack', 'messaging.client.operation.duration', 0.04],
      ['process', 'messaging.process.duration', 0.25],
      ['send', 'messaging.client.operation.duration', 0],
    ]);
  });

  it('hands each collection every duration up to it, and after the last one each at once', async () => {
    const recorded = sdk();
    const telemetry = new PulsarTelemetry();
    telemetry.onModuleInit();
    const series = telemetry.addConsumer(TOPIC, 's');
    let timeMs = 0;
    const nowMs = (): number => timeMs;
    const publish = (errorCode?: string): void => {
      const watched = telemetry.startSend(TOPIC, { payload: new Uint8Array(1) }, nowMs);
      timeMs += 1;
      if (watched !== undefined) {
        telemetry.endSend(watched, nowMs, errorCode);
      }
    };
    let ended = 0;
    // Fewer than are held back, as many, and more.
    for (const count of [0, 1, 127, 128, 129, 1_000]) {
      for (let index = 0; index < count; index++) {
        publish(index % 10 === 9 ? 'SMARTPULSE_PULSAR_TIMEOUT' : undefined);
        telemetry.processed(series, 2, index % 10 === 9 ? { error: new RangeError() } : undefined);
        ended += 2;
      }
      await recorded.observed('messaging.client.sent.messages');
      expect(recorded.records).toHaveLength(ended);
    }
    expect(new Set(recorded.records.map(({ name, seconds }) => `${name} ${seconds}`))).toEqual(
      new Set(['messaging.client.operation.duration 0.001', 'messaging.process.duration 0.002']),
    );
    publish();
    telemetry.close();
    expect(recorded.records).toHaveLength(ended + 1);
    telemetry.processed(series, 2, undefined);
    expect(recorded.records).toHaveLength(ended + 2);
    telemetry.processed(telemetry.addConsumer(TOPIC, 'later'), 2, undefined);
    publish();
    expect(recorded.records).toHaveLength(ended + 4);
  });
});
