import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { PulsarTelemetry } from '../pulsar.telemetry.js';
import { injectedFault } from '../testing/fault-injecting.transport.js';
import type { IncomingMessage, TransportConsumer } from '../transport/pulsar.transport.js';
import { Acknowledgements } from './acknowledgements.js';
import type { SettlementCounts, TakenMessage } from './message-settler.js';
import { SubscriptionLink } from './subscription-link.js';
import { SubscriptionLinks } from './subscription-links.js';

const TOPIC = 'persistent://public/default/t';

/** Acknowledges by what {@link receipt} is at the time. */
class ReceiptConsumer implements TransportConsumer {
  readonly topic = TOPIC;
  readonly subscription = 's';
  readonly acked: string[] = [];
  receipt: Promise<void> = Promise.resolve();

  permit(): void {}

  ack(id: { toString(): string }): Promise<void> {
    this.acked.push(id.toString());
    return this.receipt;
  }

  ackCumulative(): Promise<void> {
    return this.receipt;
  }

  nack(): void {}

  async close(): Promise<void> {}

  async unsubscribe(): Promise<void> {}
}

function parts() {
  const clock = new VirtualClock();
  const random = new SeededRandom(1);
  const telemetry = new PulsarTelemetry();
  const series = telemetry.addConsumer(TOPIC, 's');
  const counts: SettlementCounts = {
    received: 0,
    acked: 0,
    retried: 0,
    nacked: 0,
    deadLettered: 0,
    failed: 0,
    outages: 0,
    trips: 0,
    unsettled: 0,
    duplicates: 0,
    inFlight: 0,
  };
  const transport = new ReceiptConsumer();
  const link = new SubscriptionLink({
    clock,
    random,
    window: 10,
    returnsLate: false,
    subscribe: async () => transport,
    onMessage: () => undefined,
    onLost: () => undefined,
    onReconnectFailed: () => undefined,
    onReconnected: () => undefined,
  });
  const released: string[] = [];
  const onFailed = vi.fn();
  const acknowledgements = new Acknowledgements({
    links: new SubscriptionLinks([link]),
    counts,
    telemetry,
    series,
    clock,
    delayMs: (failures) => failures * 100,
    onFailed,
    onReleased: ({ message }) => released.push(message.id.toString()),
  });
  const taken = (id: string): TakenMessage => ({
    message: messageOf(id),
    from: { transport, link, lost: false },
    origin: undefined,
    attempts: 0,
    firstFailureMs: undefined,
    lastError: undefined,
    deadLetterStored: false,
    handled: true,
    ackFailures: 0,
  });
  return { acknowledgements, counts, onFailed, released, taken, transport };
}

function messageOf(id: string): IncomingMessage {
  return {
    id,
    topic: TOPIC,
    payload: new Uint8Array(1),
    tombstone: false,
    key: undefined,
    orderingKey: undefined,
    properties: {},
    publishTimeMs: 0,
    eventTimeMs: undefined,
    redeliveryCount: 0,
    producerName: '',
    sequenceId: -1n,
  };
}

describe('acknowledgements', () => {
  it('are settled together when the transport answers them by one promise, each once', async () => {
    const { acknowledgements, counts, released, taken, transport } = parts();
    const together = ['1', '2', '3'].map((id) => acknowledgements.ack(taken(id)));
    expect(new Set(together).size).toBe(1);
    transport.receipt = Promise.resolve();
    const other = acknowledgements.ack(taken('4'));
    expect(other).not.toBe(together[0]);
    expect(released).toEqual([]);
    await Promise.all([...together, other]);
    expect(released).toEqual(['1', '2', '3', '4']);
    expect(counts).toMatchObject({ acked: 4, unsettled: 0 });
  });

  it('take nobody into what is settled, also where the transport gives the same promise for ever', async () => {
    const { acknowledgements, counts, released, taken } = parts();
    const first = acknowledgements.ack(taken('1'));
    await first;
    const second = acknowledgements.ack(taken('2'));
    expect(second).not.toBe(first);
    await second;
    expect(released).toEqual(['1', '2']);
    expect(counts.acked).toBe(2);
  });

  it('come again together after a passing failure, then each by its own count', async () => {
    const { acknowledgements, counts, onFailed, released, taken, transport } = parts();
    const messages = [taken('1'), taken('2')];
    transport.receipt = Promise.reject(injectedFault(TOPIC));
    expect(await Promise.all(messages.map((one) => acknowledgements.ack(one)))).toEqual([
      { retryAfterMs: 100 },
      { retryAfterMs: 100 },
    ]);
    const again = messages.map((one) => acknowledgements.ack(one));
    // A first attempt that has the receipt in common with them does not share their count.
    const third = acknowledgements.ack(taken('3'));
    expect(await Promise.all([...again, third])).toEqual([
      { retryAfterMs: 200 },
      { retryAfterMs: 200 },
      { retryAfterMs: 100 },
    ]);
    transport.receipt = Promise.resolve();
    expect(await Promise.all(messages.map((one) => acknowledgements.ack(one)))).toEqual([undefined, undefined]);
    expect(onFailed).not.toHaveBeenCalled();
    expect(released).toEqual(['1', '2']);
    expect(counts).toMatchObject({ acked: 2, unsettled: 0 });
  });

  it('that fail for good are told once, and their places are free', async () => {
    const { acknowledgements, counts, onFailed, released, taken, transport } = parts();
    transport.receipt = Promise.reject(new RangeError('no'));
    expect(await Promise.all(['1', '2'].map((id) => acknowledgements.ack(taken(id))))).toEqual([undefined, undefined]);
    transport.ack = () => {
      throw new RangeError('no');
    };
    await acknowledgements.ack(taken('3'));
    expect(onFailed.mock.calls.map(([sentence]) => sentence as unknown)).toEqual([
      '2 acknowledgements failed, the messages will come again',
      'An acknowledgement failed, the message will come again',
    ]);
    expect(released).toEqual(['1', '2', '3']);
    expect(counts).toMatchObject({ acked: 0, unsettled: 3 });
  });
});
