import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ClientEvent, PulsarClientOptions } from '../client/client.options.js';
import { PulsarClient } from '../client/pulsar-client.js';
import { clientOf, finish as finishWith } from '../testing/fake-broker.client.js';
import { FakeBroker, type FakeBrokerOptions } from '../testing/fake-broker.js';
import { encodeCommand } from '../protocol/command/command-codec.js';
import { Backoff } from './backoff.js';
import { Connection } from './connection.js';
import { SocketIntake } from './intake.js';

const TOPIC = 'persistent://public/default/orders';

describe('a connection', () => {
  let clock: VirtualClock;
  let broker: FakeBroker;
  let client: PulsarClient;
  let events: readonly ClientEvent[];

  beforeEach(() => {
    clock = new VirtualClock();
  });

  afterEach(async () => {
    await finish(client.close());
    await quiet();
    expect(clock.pendingTimers).toBe(0);
    expect(broker.open).toEqual([]);
  });

  const finish = <T>(work: Promise<T>): Promise<T> => finishWith(clock, work);

  async function quiet(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) {
      await clock.settle();
    }
  }

  function connect(options: Partial<PulsarClientOptions> = {}, brokerOptions: FakeBrokerOptions = {}): void {
    broker = new FakeBroker(brokerOptions);
    ({ client, events } = clientOf(broker, { clock, random: new SeededRandom(1) }, options));
  }

  const produce = (topic = 'orders') => finish(client.createProducer({ topic, batching: { maxDelayMs: 0 } }));

  it('is made when it is first needed, once for all who ask at the same time', async () => {
    connect();
    expect(broker.connections).toEqual([]);

    await finish(Promise.all(Array.from({ length: 50 }, (_, index) => client.createProducer({ topic: `t-${index}` }))));

    expect(broker.connections).toHaveLength(1);
    expect(client.connections).toBe(1);
    expect(broker.all('connect')).toMatchObject([{ protocolVersion: 21, featureFlags: { partialProducer: true } }]);
  });

  it('is one of several where so many are asked for: producers and consumers are spread over them, and a lost one takes only its own', async () => {
    connect({ connectionsPerBroker: 3 });
    const producers = await Promise.all(Array.from({ length: 6 }, (_, index) => produce(`t-${index}`)));
    expect(client.connections).toBe(3);
    const held = broker.open.map((connection) => connection.all('producer').length);
    expect(held).toEqual([2, 2, 2]);

    broker.open[1]?.cut();
    await quiet();
    expect(events.filter(({ type }) => type === 'producer-detached')).toHaveLength(2);
    await finish(Promise.all(producers.map((producer) => producer.send({ payload: Buffer.from('x') }))));
    expect(client.connections).toBe(3);
  });

  it.each([1, 2, 3, 7])('reads answers that come in pieces of %i bytes', async (chunkBytes) => {
    connect();
    broker.script('connect', (connection) => {
      connection.chunkBytes = chunkBytes;
      return false;
    });
    const received: string[] = [];
    const consumer = await finish(
      client.subscribe(
        { topic: 'orders', subscription: 's' },
        { onMessage: ({ payload }) => received.push(Buffer.from(payload).toString()), onClosed: () => {} },
      ),
    );
    consumer.permit(100);
    const producer = await produce();

    await finish(Promise.all(['a', 'b', 'c'].map((value) => producer.send({ payload: Buffer.from(value) }))));
    await quiet();

    expect(received).toEqual(['a', 'b', 'c']);
  });

  it('asks for the token of each connection and of each challenge', async () => {
    let tokens = 0;
    connect({ token: () => Promise.resolve(`token-${++tokens}`) });
    await produce();
    expect(broker.all('connect')).toMatchObject([{ authMethodName: 'token', featureFlags: { authRefresh: true } }]);
    expect(Buffer.from(broker.all('connect')[0]?.authData ?? []).toString()).toBe('token-1');

    broker.open[0]?.send('authChallenge', {
      challenge: { authMethodName: 'token', authData: Buffer.from('PulsarAuthRefresh') },
    });
    await quiet();

    const [answer] = broker.all('authResponse');
    expect(Buffer.from(answer?.response?.authData ?? []).toString()).toBe('token-2');
    expect(broker.open).toHaveLength(1);
  });

  it('does not announce what it could not answer', async () => {
    connect();
    await produce();

    expect(broker.all('connect')[0]?.featureFlags?.authRefresh).toBe(false);
  });

  it('reports a refused token at once, and never shows it', async () => {
    connect({ token: 'very.secret.token' });
    broker.script('connect', (connection) => {
      connection.send('error', { requestId: -1, error: 3, message: 'Failed to authenticate' });
      connection.cut();
      return true;
    });

    const error: unknown = await produce().catch((reason: unknown) => reason);

    expect(error).toMatchObject({ code: 'SMARTPULSE_WIRE_BROKER_AUTHENTICATION_ERROR', kind: 'permanent' });
    expect(JSON.stringify([error, events, String(error)])).not.toContain('secret');
    expect(broker.connections).toHaveLength(1);
  });

  it('reports a failing token supplier with its cause', async () => {
    const cause = new Error('no vault');
    connect({ token: () => Promise.reject(cause), operationTimeoutMs: 100 });

    await expect(produce()).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_REQUEST_TIMEOUT',
      cause: { code: 'SMARTPULSE_WIRE_TOKEN_SUPPLIER', cause },
    });
  });

  it('answers PING at once', async () => {
    connect();
    await produce();
    broker.open[0]?.send('ping', {});
    await quiet();

    expect(broker.all('pong')).toHaveLength(1);
  });

  it('asks a silent broker for a sign of life, and gives a half-open connection up', async () => {
    connect({ keepAliveMs: 1_000 });
    const producer = await produce();
    for (let second = 0; second < 5; second++) {
      await clock.advance(1_000);
      await quiet();
    }
    expect(broker.all('ping').length).toBeGreaterThanOrEqual(4);
    expect(broker.connections).toHaveLength(1);

    const [first] = broker.open;
    if (first !== undefined) {
      first.deaf = true;
    }
    const sent = producer.send({ payload: Buffer.from('a') });
    await finish(sent);

    expect(events.filter(({ type }) => type === 'connection-lost')).toHaveLength(1);
    expect(first?.isOpen).toBe(false);
    expect(broker.connections).toHaveLength(2);
  });

  it('gives up a handshake that takes longer than the connect timeout', async () => {
    connect({ connectTimeoutMs: 500, operationTimeoutMs: 600 });
    broker.script('connect', () => true);

    await expect(produce()).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_REQUEST_TIMEOUT' });
    expect(broker.open).toEqual([]);
  });

  it('tries again while nobody listens, and says so when the time is over', async () => {
    connect({ operationTimeoutMs: 1_000 });
    broker.down = true;
    const failing = expect(produce()).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_REQUEST_TIMEOUT',
      kind: 'transient',
      cause: { code: 'SMARTPULSE_WIRE_CONNECTION' },
    });
    await failing;

    broker.down = false;
    await produce();
  });

  it('is ended by what is not the protocol, and by a frame above the limit, and comes back', async () => {
    connect();
    const producer = await produce();
    for (const bytes of [Buffer.from('HTTP/1.1 400 Bad Request\r\n'), Buffer.from([0, 0, 0, 5, 0, 0, 0, 1, 0xff])]) {
      broker.open[0]?.raw(bytes);
      await quiet();
      await finish(producer.send({ payload: Buffer.from('a') }));
    }

    expect(broker.connections).toHaveLength(3);
    expect(events.filter(({ type }) => type === 'connection-lost')).toHaveLength(2);
  });

  it('ignores commands that it does not know, and those for nobody', async () => {
    connect();
    const producer = await produce();
    const [connection] = broker.open;
    connection?.raw(Buffer.from([0, 0, 0, 10, 0, 0, 0, 6, 0x08, 0xe7, 0x07, 0xba, 0x3e, 0x00]));
    connection?.send('sendReceipt', { producerId: 999, sequenceId: 1n });
    connection?.send('success', { requestId: 999_999 });
    connection?.send('error', { requestId: 999_999, error: 0, message: 'late' });
    connection?.send('closeConsumer', { consumerId: 999, requestId: -1 });
    connection?.send('lookup', { requestId: 1, topic: 'x' });
    await quiet();

    await finish(producer.send({ payload: Buffer.from('a') }));
    expect(broker.connections).toHaveLength(1);
    expect(events.filter(({ type }) => type === 'unexpected-command')).toHaveLength(3);
  });

  it('goes through the service URL on a connection of its own where the broker asks for it', async () => {
    connect({}, { proxy: true });
    broker.brokerUrl = 'pulsar://inner:6650';
    await produce();

    expect(broker.connections.map(({ address }) => address)).toEqual(['pulsar://broker:6650', 'pulsar://broker:6650']);
    expect(broker.all('connect').map(({ proxyToBrokerUrl }) => proxyToBrokerUrl)).toEqual([undefined, 'inner:6650']);
    expect(broker.connections[1]?.all('producer')).toHaveLength(1);
  });

  it('follows redirects with the flag that it was given, and gives a circle up', async () => {
    connect({ operationTimeoutMs: 50 });
    let redirects = 0;
    broker.script('lookup', (connection, { requestId }) => {
      if (redirects++ < 2) {
        const brokerServiceUrl = `pulsar://broker-${redirects}:6650`;
        connection.send('lookupResponse', { requestId, response: 0, brokerServiceUrl, authoritative: redirects === 2 });
        return true;
      }
      return false;
    });
    await produce();
    expect(broker.all('lookup').map(({ authoritative }) => authoritative)).toEqual([false, false, true]);
    expect(broker.connections.map(({ address }) => address)).toEqual([
      'pulsar://broker:6650',
      'pulsar://broker-1:6650',
      'pulsar://broker-2:6650',
    ]);

    broker.script('lookup', (connection, { requestId }) => {
      connection.send('lookupResponse', {
        requestId,
        response: 0,
        brokerServiceUrl: 'pulsar://broker:6650',
        authoritative: false,
      });
      return true;
    });
    await expect(produce()).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_REQUEST_TIMEOUT' });
  });

  it('tries a lookup again that the broker had no time for, and reports a missing namespace at once', async () => {
    connect();
    let asked = 0;
    broker.script('lookup', (connection, { requestId }) => {
      if (asked++ === 0) {
        connection.send('lookupResponse', { requestId, response: 2, error: 14, message: 'too many' });
        return true;
      }
      return false;
    });
    await produce();
    expect(asked).toBe(2);

    broker.script('partitionedMetadata', (connection, { requestId }) => {
      connection.send('partitionedMetadataResponse', {
        requestId,
        response: 1,
        error: 11,
        message: 'Namespace not found',
      });
      return true;
    });
    await expect(produce('nowhere/at-all/orders')).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_BROKER_TOPIC_NOT_FOUND',
      kind: 'permanent',
    });
  });

  it('goes on to the next address of the service URL when one does not answer', async () => {
    broker = new FakeBroker();
    const tried: string[] = [];
    client = new PulsarClient({
      serviceUrl: ['pulsar://a:1,b:2', 'pulsar://c:3'],
      clock,
      random: { next: () => 0 },
      dial: (address, signal) => {
        tried.push(address.host);
        return address.host === 'b' ? broker.dial(address, signal) : Promise.reject(new Error('refused'));
      },
    });
    broker.brokerUrl = 'pulsar://b:2';
    await produce();

    expect(tried).toEqual(['a', 'b']);
  });

  it('rejects a request that is not answered in time', async () => {
    connect({ operationTimeoutMs: 1_000 });
    broker.script('producer', () => true);

    await expect(produce()).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_REQUEST_TIMEOUT', ambiguous: true });
    // It could still be registered, and keep the name taken.
    expect(broker.all('closeProducer').length).toBeGreaterThan(0);
  });

  it('refuses everything after it was closed, also while it is being made', async () => {
    connect();
    broker.script('connect', () => true);
    const creating = client.createProducer({ topic: 'orders' });
    await quiet();
    const closing = client.close();
    await expect(finish(creating)).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_CLOSED' });
    await finish(closing);

    await expect(client.createProducer({ topic: 'orders' })).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_CLOSED' });
    await expect(client.createProducer({ topic: 'a/b' })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_INVALID_TOPIC_NAME',
    });
  });

  it("goes on when the application's own event listener throws, and warns once", async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    connect({
      onEvent: () => {
        throw new Error('the log is full');
      },
    });
    const producer = await produce();
    broker.open[0]?.send('reachedEndOfTopic', { consumerId: 99 });
    broker.open[0]?.send('error', { requestId: 999, error: 0, message: 'nobody asked' });
    await finish(producer.send({ payload: Buffer.from('a') }));

    expect(broker.connections).toHaveLength(1);
    expect(warn).toHaveBeenCalledOnce();
    expect(warn.mock.calls[0]?.[0]).toContain('the log is full');
    warn.mockRestore();
  });

  it('is given up at its close when the line takes nothing any more', async () => {
    connect();
    const stuck = new Duplex({ read: () => {}, write: () => {} });
    const settings = {
      clock,
      token: undefined,
      operationTimeoutMs: 30_000,
      keepAliveMs: 30_000,
      nextId: () => 1,
      emit: () => {},
    };
    const opening = Connection.open(
      stuck,
      new SocketIntake(),
      { host: 'broker', port: 6650, tls: false },
      undefined,
      settings,
      new AbortController().signal,
      () => {},
    );
    await quiet();
    stuck.push(encodeCommand('connected', { serverVersion: 'stuck', protocolVersion: 21 }));
    (await finish(opening)).close();
    await quiet();
    expect(stuck.destroyed).toBe(false);

    await clock.advance(5_000);
    expect(stuck.destroyed).toBe(true);
  });

  it('spreads a thousand producers and consumers over one connection and brings all back after a cut', async () => {
    connect();
    const all = await finish(
      Promise.all(
        Array.from({ length: 500 }, (_, index) =>
          client.createProducer({ topic: `t-${index}`, batching: { maxDelayMs: 0 } }),
        ),
      ),
    );
    await finish(
      Promise.all(
        Array.from({ length: 500 }, (_, index) =>
          client.subscribe({ topic: `t-${index}`, subscription: 's' }, { onMessage: () => {}, onClosed: () => {} }),
        ),
      ),
    );
    broker.open[0]?.cut();
    await finish(Promise.all(all.map((producer) => producer.send({ payload: Buffer.from('a') }))));

    expect(broker.connections).toHaveLength(2);
    expect([...broker.topics.values()].every(({ entries }) => entries.length === 1)).toBe(true);
    expect(broker.topic(TOPIC).entries).toEqual([]);
  });
});

describe('the delays between attempts', () => {
  it('are anything from nothing to a width that doubles up to its limit', () => {
    const highest = new Backoff({ initialMs: 100, maxMs: 1_000 }, { next: () => 0.999 });
    expect(Array.from({ length: 6 }, () => Math.round(highest.nextMs()))).toEqual([100, 200, 400, 799, 999, 999]);

    const lowest = new Backoff({ initialMs: 100, maxMs: 1_000 }, { next: () => 0 });
    expect(Array.from({ length: 100 }, () => lowest.nextMs()).every((delay) => delay === 0)).toBe(true);
  });
});
