import assert from 'node:assert/strict';
import { PulsarError } from '../pulsar.errors.js';
import type { TransportCase } from './subscription.contract.js';
import { consume, eventually, names, produce, text } from './transport-fixture.js';

const lingering = { enabled: true, maxMessages: 10, maxBytes: 100_000, maxDelayMs: 1_000 };

/** How messages go out. */
export const producerCases: readonly TransportCase[] = [
  {
    title: 'keeps payload, keys, properties and event time as they were, unicode and empty ones too',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic);
      await producer.send({
        payload: Uint8Array.from([0, 255, 128, 10]),
        key: 'İstanbul ⚡ 風',
        properties: { größe: 'ñandú 🌬', leer: '' },
        eventTimeMs: 1_700_000_000_123,
      });
      await producer.send({ payload: new Uint8Array(0) });
      await eventually(fixture, () => heard.messages.length === 2, 'delivered');
      const [first, second] = heard.messages;
      assert.deepEqual([...first!.payload], [0, 255, 128, 10]);
      assert.deepEqual([first!.key, first!.orderingKey], ['İstanbul ⚡ 風', undefined]);
      assert.deepEqual({ ...first!.properties }, { größe: 'ñandú 🌬', leer: '' });
      assert.deepEqual([first!.eventTimeMs, first!.topic], [1_700_000_000_123, topic]);
      assert.deepEqual([second!.payload.byteLength, second!.key, second!.eventTimeMs], [0, undefined, undefined]);
      assert.ok(first!.publishTimeMs > 0 || fixture.pendingTimers !== undefined);
    },
  },
  {
    title: 'keeps an ordering key beside the key',
    needs: 'orderingKeys',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      await (await produce(transport, topic)).send(text('x', { key: 'k', orderingKey: 'ördnung' }));
      await eventually(fixture, () => heard.messages.length === 1, 'delivered');
      assert.deepEqual([heard.messages[0]!.key, heard.messages[0]!.orderingKey], ['k', 'ördnung']);
    },
  },
  {
    title: 'tells a message without a payload from one with an empty payload',
    needs: 'tombstones',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic, { batching: lingering });
      const sends = [
        producer.send({ payload: new Uint8Array(0), tombstone: true, key: 'gone' }),
        producer.send({ payload: new Uint8Array(0), key: 'empty' }),
      ];
      await producer.flush();
      await Promise.all(sends);
      await eventually(fixture, () => heard.messages.length === 2, 'delivered');
      const told = new Map(heard.messages.map(({ key, tombstone }) => [key, tombstone]));
      assert.deepEqual([told.get('gone'), told.get('empty')], [true, false]);
    },
  },
  {
    title: 'refuses a second producer of a name that is in use, and admits one after the first has closed',
    needs: 'producerIdentity',
    async check(fixture) {
      const [one, two, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
      const first = await produce(one, topic, { producerName: 'the one' });
      await assert.rejects(
        produce(two, topic, { producerName: 'the one' }),
        (error) => PulsarError.is(error) && error.code === 'SMARTPULSE_PULSAR_PRODUCER_BUSY',
      );
      await first.close();
      const heard = await consume(two, topic);
      await (await produce(two, topic, { producerName: 'the one' })).send(text('x'));
      await eventually(fixture, () => heard.messages.length === 1, 'delivered');
      assert.equal(heard.messages[0]!.producerName, 'the one');
    },
  },
  {
    title: 'waits at the limit of pending bytes, and lets one larger message through alone',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic, { maxPendingBytes: 1_000 });
      const abort = new AbortController();
      const large = producer.send({ payload: new Uint8Array(5_000) });
      const waiting = producer.send(text('given up'), abort.signal);
      abort.abort();
      await assert.rejects(waiting, (error) => PulsarError.is(error) && error.code === 'SMARTPULSE_PULSAR_ABORTED');
      const rest = names(20).map((name) => producer.send(text(name.padEnd(300, '.'))));
      await Promise.all([large, ...rest]);
      await eventually(fixture, () => heard.messages.length === 21, 'all delivered');
    },
  },
  {
    title: 'what the caller does to the payload after the call does not change the message',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic);
      const payload = new TextEncoder().encode('before');
      const sent = producer.send({ payload });
      payload.fill(0);
      await sent;
      await eventually(fixture, () => heard.messages.length === 1, 'delivered');
      assert.deepEqual(heard.texts(), ['before']);
    },
  },
  {
    title: 'carries a large payload and refuses one above its limit without harm',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic);
      const { maxPayloadBytes } = transport.capabilities;
      await producer.send({ payload: new Uint8Array(Math.min(700_000, maxPayloadBytes)).fill(7) });
      await assert.rejects(
        producer.send({ payload: new Uint8Array(maxPayloadBytes + 1) }),
        (error) => PulsarError.is(error) && error.code === 'SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE',
      );
      await producer.send(text('small'));
      await eventually(fixture, () => heard.messages.length === 2, 'delivered');
      assert.equal(heard.messages[0]!.payload.byteLength, Math.min(700_000, maxPayloadBytes));
    },
  },
  {
    title: 'lingers until the batch is full or its time has come',
    needs: 'batching',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic, { batching: lingering });
      const first = producer.send(text('alone'));
      await fixture.advance(500);
      assert.equal(heard.messages.length, 0);
      assert.equal(producer.pending, 1);
      await fixture.advance(600);
      await first;
      await eventually(fixture, () => heard.messages.length === 1, 'delivered after the linger');
      const full = Promise.all(names(10).map((name) => producer.send(text(name))));
      await eventually(fixture, () => heard.messages.length === 11, 'a full batch goes at once');
      await full;
      assert.equal(producer.pending, 0);
    },
  },
  {
    title: 'stores messages in the order of the calls, batched or not',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic, { type: 'Exclusive' });
      const producer = await produce(transport, topic, {
        batching: { ...lingering, maxDelayMs: 10 },
        maxPendingMessages: 7,
      });
      const sends = Promise.all(names(100).map((name) => producer.send(text(name))));
      await eventually(fixture, () => heard.messages.length === 100, 'all delivered');
      await sends;
      assert.deepEqual(heard.texts(), names(100));
    },
  },
  {
    title: 'waits at the pending limit, never rejects there, and a signal ends that wait and nothing else',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic, { maxPendingMessages: 2 });
      const abort = new AbortController();
      const first = names(2).map((name) => producer.send(text(name), abort.signal));
      const given = producer.send(text('given up'), abort.signal);
      const patient = producer.send(text('patient'));
      abort.abort(new Error('enough'));
      await assert.rejects(given, (error) => PulsarError.is(error) && error.code === 'SMARTPULSE_PULSAR_ABORTED');
      await Promise.all([...first, patient]);
      await eventually(fixture, () => heard.messages.length === 3, 'delivered');
      assert.deepEqual(heard.texts(), ['n0', 'n1', 'patient']);
      assert.equal(producer.pending, 0);
    },
  },
  {
    title: 'flush sends what lingers and resolves when it is stored, also while others go on sending',
    needs: 'batching',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const producer = await produce(transport, topic, { batching: { ...lingering, maxDelayMs: 60_000 } });
      const stored: string[] = [];
      for (const name of names(3)) {
        void producer.send(text(name)).then(() => stored.push(name));
      }
      await producer.flush();
      // That all are is promised, not the order in which their senders hear of it.
      assert.deepEqual(stored.toSorted(), names(3));
      await producer.flush();
    },
  },
  {
    title: 'close stores every send that was called, waiting ones too, then refuses',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic, {
        batching: { ...lingering, maxDelayMs: 60_000 },
        maxPendingMessages: 4,
      });
      const sends = Promise.all(names(25).map((name) => producer.send(text(name))));
      await producer.close();
      await producer.close();
      await sends;
      await eventually(fixture, () => heard.messages.length === 25, 'all delivered');
      await assert.rejects(producer.send(text('late')), (error) => PulsarError.is(error) && error.kind === 'recreate');
    },
  },
  {
    title: 'closing a transport stores what its producers were given and closes nothing of another transport',
    async check(fixture) {
      const [one, two, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
      const heard = await consume(two, topic);
      const producer = await produce(one, topic, { batching: { ...lingering, maxDelayMs: 60_000 } });
      const sends = Promise.all(names(3).map((name) => producer.send(text(name))));
      await one.close();
      await one.close();
      await sends;
      await eventually(fixture, () => heard.messages.length === 3, 'delivered');
      await assert.rejects(produce(one, topic), PulsarError.is);
      await (await produce(two, topic)).send(text('still open'));
    },
  },
  {
    title: 'stores a sequence id of a named producer once',
    needs: 'deduplication',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      const first = await produce(transport, topic, { producerName: 'relay' });
      await first.send(text('a', { sequenceId: 1n }));
      await first.send(text('b', { sequenceId: 2n }));
      await first.close();
      const again = await produce(transport, topic, { producerName: 'relay' });
      await again.send(text('b', { sequenceId: 2n }));
      await again.send(text('c', { sequenceId: 3n }));
      await eventually(fixture, () => heard.messages.length === 3, 'delivered');
      await fixture.advance(100);
      assert.deepEqual(heard.texts(), ['a', 'b', 'c']);
    },
  },
  {
    title: 'names the same broker by the same instance on every transport',
    async check(fixture) {
      const [one, two] = [await fixture.transport(), await fixture.transport()];
      assert.equal(one.brokerInstance, two.brokerInstance);
      assert.notEqual(one.brokerInstance, '');
    },
  },
];
