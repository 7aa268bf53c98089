import { randomBytes } from 'node:crypto';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PulsarClient } from '../client/pulsar-client.js';
import type { CommandFields } from '../protocol/command/commands.js';
import { clientOf, finish as finishWith } from '../testing/fake-broker.client.js';
import type { FakeConnection } from '../testing/fake-broker.connection.js';
import { FakeBroker } from '../testing/fake-broker.js';
import { WireError } from '../pulsar-wire.errors.js';
import type { ProducerOptions, WireProducer } from './producer.options.js';

interface Held {
  readonly connection: FakeConnection;
  readonly fields: CommandFields<'send'>;
}

describe('answers to a producer that come out of the order of its sends', () => {
  let clock: VirtualClock;
  let broker: FakeBroker;
  let client: PulsarClient;
  /** What the broker has received and not answered. */
  let held: Held[];

  beforeEach(() => {
    clock = new VirtualClock();
    broker = new FakeBroker();
    client = clientOf(broker, { clock, random: new SeededRandom(1) }).client;
    held = [];
    broker.script('send', (connection, fields) => held.push({ connection, fields }) > 0);
  });

  afterEach(async () => {
    await finish(client.close());
    expect(clock.pendingTimers).toBe(0);
  });

  const finish = <T>(work: Promise<T>): Promise<T> => finishWith(clock, work);
  const create = (options: Partial<ProducerOptions> = {}): Promise<WireProducer> =>
    finish(client.createProducer({ topic: 'orders', batching: { enabled: false }, ...options }));

  async function settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) {
      await clock.settle();
    }
  }

  /** How each send ends; `?`: it may be stored all the same. */
  function send(producer: WireProducer, ...payloads: (string | { text: string; sequenceId: bigint })[]): string[] {
    const outcomes = payloads.map(() => 'pending');
    for (const [index, payload] of payloads.entries()) {
      const { text, sequenceId } = typeof payload === 'string' ? { text: payload, sequenceId: undefined } : payload;
      producer.send({ payload: Buffer.from(text), sequenceId }).then(
        ({ ledgerId }) => {
          outcomes[index] = ledgerId < 0n ? 'duplicate' : 'stored';
        },
        (error: unknown) => {
          outcomes[index] = error instanceof WireError ? `${error.code}${error.ambiguous ? '?' : ''}` : 'unknown';
        },
      );
    }
    return outcomes;
  }

  async function receipt(index: number, ledgerId = 7n): Promise<void> {
    const { connection, fields } = held[index] ?? expect.fail('The broker has no such frame.');
    const { producerId, sequenceId, highestSequenceId } = fields;
    const messageId = { ledgerId, entryId: ledgerId < 0n ? -1n : 0n, ackSet: new Int32Array(0) };
    connection.send('sendReceipt', { producerId, sequenceId, highestSequenceId, messageId });
    await settle();
  }

  async function refuse(index: number, error: number): Promise<void> {
    const { connection, fields } = held[index] ?? expect.fail('The broker has no such frame.');
    const { producerId, sequenceId, highestSequenceId } = fields;
    // As the broker does: a batch is named by its highest id.
    connection.send('sendError', { producerId, sequenceId: highestSequenceId ?? sequenceId, error, message: 'No.' });
    await settle();
  }

  it('rejects the frame that the broker names, not the one in front of it that is being stored', async () => {
    const producer = await create();
    const outcomes = send(producer, 'a', 'b', 'c');
    await settle();

    await refuse(1, 22);
    expect(outcomes).toEqual(['pending', 'SMARTPULSE_WIRE_BROKER_NOT_ALLOWED_ERROR', 'pending']);
    await receipt(0);
    await receipt(2);

    expect(outcomes).toEqual(['stored', 'SMARTPULSE_WIRE_BROKER_NOT_ALLOWED_ERROR', 'stored']);
    expect([producer.pending, broker.all('producer').length]).toEqual([0, 1]);
  });

  it('rejects a whole batch that the broker names by its last id', async () => {
    const producer = await create({ batching: { maxMessages: 2 } });
    const outcomes = send(producer, 'a', 'b', 'c', 'd');
    await settle();

    await refuse(1, 22);
    await receipt(0);

    const refused = 'SMARTPULSE_WIRE_BROKER_NOT_ALLOWED_ERROR';
    expect(outcomes).toEqual(['stored', 'stored', refused, refused]);
  });

  it('ignores the late refusal of a frame that timed out', async () => {
    const producer = await create({ sendTimeoutMs: 1_000 });
    const first = send(producer, 'a');
    await settle();
    await clock.advance(1_000);
    const second = send(producer, 'b');
    await settle();

    await refuse(0, 22);
    await receipt(1);

    expect([first, second]).toEqual([['SMARTPULSE_WIRE_SEND_TIMEOUT?'], ['stored']]);
  });

  it('sends again from the damaged frame on, and nothing of what is in front of it', async () => {
    const producer = await create();
    const outcomes = send(producer, 'a', 'b', 'c');
    await settle();

    await refuse(1, 9);
    expect(held.map(({ fields }) => fields.sequenceId)).toEqual([0n, 1n, 2n, 1n, 2n]);
    for (const index of [0, 2, 3, 4]) {
      await receipt(index);
    }

    expect(outcomes).toEqual(['stored', 'stored', 'stored']);
    expect(broker.all('producer')).toHaveLength(1);
  });

  it('gives up a frame that is damaged each time, and keeps the others', async () => {
    const producer = await create();
    const outcomes = send(producer, 'a', 'b', 'c');
    await settle();
    for (const index of [1, 3, 5, 7]) {
      await refuse(index, 9);
    }
    for (const index of [0, 2, 4, 6, 8]) {
      await receipt(index);
    }

    expect(outcomes).toEqual(['stored', 'SMARTPULSE_WIRE_BROKER_CHECKSUM_ERROR?', 'stored']);
    expect(send(producer, 'd')).toEqual(['pending']);
    await settle();
    await receipt(9);
    expect(producer.pending).toBe(0);
  });

  it('knows that nothing is stored from the message on that a terminated topic refuses, and not what became of those before', async () => {
    const producer = await create({ maxPendingMessages: 3 });
    const outcomes = send(producer, 'a', 'b', 'c', 'waits for room');
    await settle();

    await refuse(1, 15);

    const refused = 'SMARTPULSE_WIRE_BROKER_TOPIC_TERMINATED_ERROR';
    expect(outcomes).toEqual([`${refused}?`, refused, refused, 'SMARTPULSE_WIRE_CLOSED']);
    expect(producer.pending).toBe(0);
  });

  it.each([
    ['the topic is terminated', 15, 'TOPIC_TERMINATED_ERROR'],
    ['it is not allowed', 22, 'NOT_ALLOWED_ERROR'],
  ])('does not take a message for refused that was sent before, when %s by now', async (_why, error, code) => {
    const producer = await create();
    const outcomes = send(producer, 'a');
    await settle();
    broker.open.at(-1)?.cut();
    await clock.advance(2_000);
    await settle();
    expect(held).toHaveLength(2);

    await refuse(1, error);

    expect(outcomes).toEqual([`SMARTPULSE_WIRE_BROKER_${code}?`]);
  });

  it.each([0, 2, 7, 8])(
    'sends everything again on a new registration after a refusal that tells nothing: %i',
    async (error) => {
      const producer = await create();
      const outcomes = send(producer, 'a', 'b');
      await settle();

      await refuse(0, error);
      await clock.advance(2_000);
      await settle();
      expect(outcomes).toEqual(['pending', 'pending']);
      await receipt(2);
      await receipt(3);

      expect(outcomes).toEqual(['stored', 'stored']);
      expect(broker.all('producer')).toHaveLength(2);
    },
  );

  it('tells whether anything was written when time is over', async () => {
    const producer = await create({ sendTimeoutMs: 1_000 });
    const written = send(producer, 'a');
    await settle();
    broker.down = true;
    broker.open.at(-1)?.cut();
    await settle();
    const unsent = send(producer, 'b');

    await clock.advance(1_000);
    await settle();

    expect([...written, ...unsent]).toEqual(['SMARTPULSE_WIRE_SEND_TIMEOUT?', 'SMARTPULSE_WIRE_SEND_TIMEOUT']);
    broker.down = false;
  });

  it('sends in the order of the calls when a broker takes less than the last one: what is too large by now may be stored', async () => {
    const producer = await create({ maxPendingMessages: 2 });
    const outcomes = send(producer, 'x'.repeat(200_000), 'b', 'waits for room');
    await settle();
    broker.script('connect', (connection) => {
      connection.send('connected', { serverVersion: 'smaller', protocolVersion: 21, maxMessageSize: 100_000 });
      return true;
    });
    broker.open.at(-1)?.cut();
    await clock.advance(2_000);
    await settle();

    expect(outcomes).toEqual(['SMARTPULSE_WIRE_MESSAGE_TOO_LARGE?', 'pending', 'pending']);
    expect(held.map(({ fields }) => fields.sequenceId)).toEqual([0n, 1n, 1n, 2n]);
    await receipt(2);
    await receipt(3);
    expect(outcomes).toEqual(['SMARTPULSE_WIRE_MESSAGE_TOO_LARGE?', 'stored', 'stored']);
  });

  it('settles a duplicate that the broker answers in front of what is being stored', async () => {
    const producer = await create({ producerName: 'relay', sendTimeoutMs: 0 });
    const outcomes = send(producer, { text: 'new', sequenceId: 20n }, { text: 'repeated', sequenceId: 5n }, 'next');
    await settle();

    await receipt(1, -1n);
    expect(outcomes).toEqual(['pending', 'duplicate', 'pending']);
    await receipt(0);
    await receipt(2);

    expect(outcomes).toEqual(['stored', 'duplicate', 'stored']);
    expect([producer.pending, producer.lastSequenceId, broker.all('producer').length]).toEqual([0, 21n, 1]);
  });

  it('leaves a repeated frame as it is when the receipt of the first time comes before it has left', async () => {
    const producer = await create({ producerName: 'relay', sendTimeoutMs: 1_000 });
    const first = send(producer, { text: 'AAAA', sequenceId: 5n });
    await clock.advance(1_000);
    const again = send(producer, { text: 'BBBB', sequenceId: 5n });
    const { connection, fields } = held[0] ?? expect.fail('The broker has no such frame.');
    const messageId = { ledgerId: 7n, entryId: 0n, ackSet: new Int32Array(0) };
    connection.send('sendReceipt', { producerId: fields.producerId, sequenceId: 5n, messageId });
    // The receipt arrives in this very turn, at the end of which the frame leaves.
    await new Promise((resolve) => process.nextTick(resolve));
    await new Promise((resolve) => process.nextTick(resolve));
    expect(again).toEqual(['stored']);

    send(producer, { text: 'CCCC', sequenceId: 6n });
    await settle();

    expect(first).toEqual(['SMARTPULSE_WIRE_SEND_TIMEOUT?']);
    expect(held.map((frame) => frame.fields.sequenceId)).toEqual([5n, 5n, 6n]);
    await receipt(2);
  });

  it.each([
    ['too large', () => ({ payload: randomBytes(5_000) })],
    ['aborted', () => ({ payload: Buffer.from('b'), signal: AbortSignal.abort() })],
  ])('waits in a flush for what was sent before it, though a later send is over at once: %s', async (_how, later) => {
    broker = new FakeBroker({ maxMessageBytes: 1_000 });
    client = clientOf(broker, { clock, random: new SeededRandom(1) }).client;
    broker.script('send', (connection, fields) => held.push({ connection, fields }) > 0);
    const producer = await create({ compression: 'zlib', maxPendingMessages: 2 });
    const outcomes = send(producer, 'a', 'b');
    let flushed = false;
    const flushing = producer.flush().then(() => {
      flushed = true;
    });
    const { payload, signal } = { signal: undefined, ...later() };
    await receiptLater(producer.send({ payload }, signal));
    expect([outcomes, flushed]).toEqual([['stored', 'pending'], false]);

    await receipt(1);
    await flushing;
    expect(outcomes).toEqual(['stored', 'stored']);
  });

  /** A send that fails once the first one has made room. */
  async function receiptLater(sent: Promise<unknown>): Promise<void> {
    const failed = expect(sent).rejects.toThrow(/accepts 1000|aborted/);
    await settle();
    await receipt(0);
    await failed;
  }
});
