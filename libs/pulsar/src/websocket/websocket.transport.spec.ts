import { once } from 'node:events';
import { createServer, type IncomingMessage as HttpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import type { PulsarToken } from '../pulsar.options.js';
import { consume, produce, text } from '../testing/transport-fixture.js';
import { WebSocketTransport } from './websocket.transport.js';

const TOPIC = 'persistent://public/default/t';
const PAGE = '<html><body><h2>HTTP ERROR</h2><table><tr><th>MESSAGE:</th><td>%</td></tr></table></body></html>';

type Frame = Readonly<Record<string, unknown>>;

interface Accepted {
  readonly socket: WebSocket;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly frames: Frame[];
  pings: number;
}

/** A broker of which every answer is the test's. */
class StubBroker {
  readonly #server: Server = createServer();
  readonly accepted: Accepted[] = [];
  refusal: { readonly status: number; readonly message: string } | undefined;
  /** Whether pings are answered. */
  pongs = true;
  /** The connection breaks at a frame of this type. */
  breaksAt: string | undefined;
  attempts = 0;

  constructor() {
    const sockets = new WebSocketServer({ noServer: true, autoPong: false });
    this.#server.on('upgrade', (request: HttpRequest, stream, head) => {
      this.attempts++;
      if (this.refusal !== undefined) {
        const body = PAGE.replace('%', this.refusal.message);
        stream.end(`HTTP/1.1 ${this.refusal.status} No\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
        return;
      }
      sockets.handleUpgrade(request, stream, head, (socket) => {
        const { url = '', headers } = request;
        const one: Accepted = { socket, path: url, authorization: headers.authorization, frames: [], pings: 0 };
        this.accepted.push(one);
        socket.on('message', (data) => {
          if (Buffer.isBuffer(data)) {
            const frame = JSON.parse(data.toString('utf8')) as Frame;
            one.frames.push(frame);
            if (this.breaksAt !== undefined && frame['type'] === this.breaksAt) {
              socket.terminate();
            }
          }
        });
        socket.on('ping', (data) => {
          one.pings++;
          if (this.pongs) {
            socket.pong(data);
          }
        });
      });
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    for (const { socket } of this.accepted) {
      socket.terminate();
    }
    this.#server.close();
  }
}

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) {
    cleanUp();
  }
});

async function open(token?: PulsarToken) {
  const clock = new VirtualClock();
  const broker = new StubBroker();
  cleanUps.push(() => broker.close());
  const transport = new WebSocketTransport(
    { url: await broker.listen(), token, tls: undefined, connectTimeoutMs: 5_000, operationTimeoutMs: 5_000 },
    { clock, random: new SeededRandom() },
  );
  return { clock, broker, transport };
}

/** Turns of the event loop, for what the sockets bring; time stands still. */
async function until(condition: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < 20_000 && !condition(); turn++) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
  expect(condition(), what).toBe(true);
}

const ok = (context: unknown, messageId = 'CAEQAA=='): string => JSON.stringify({ result: 'ok', messageId, context });
const delivery = (messageId: string): string =>
  JSON.stringify({
    messageId,
    payload: Buffer.from(messageId).toString('base64'),
    properties: {},
    publishTime: '2026-11-23T19:29:58.38Z',
    redeliveryCount: 0,
  });

describe('WebSocketTransport', () => {
  it('tells sends apart by their context, whatever the order of the answers', async () => {
    const { broker, transport } = await open();
    const producer = await produce(transport, TOPIC);
    const [first, second] = [producer.send(text('a')), producer.send(text('b'))];
    const [accepted] = broker.accepted;
    await until(() => accepted!.frames.length === 2, 'both sent');
    expect(accepted!.path).toContain('/ws/v2/producer/persistent/public/default/t?');
    expect(accepted!.frames.map(({ payload }) => payload)).toEqual(['YQ==', 'Yg==']);
    accepted!.socket.send(ok(accepted!.frames[1]!['context'], 'Qg=='));
    accepted!.socket.send(
      JSON.stringify({
        result: 'send-error:8',
        errorMsg: 'PulsarClientException$TopicTerminatedException: no',
        context: accepted!.frames[0]!['context'],
      }),
    );
    expect((await second).toString()).toBe('Qg==');
    await expect(first).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_TOPIC_TERMINATED', ambiguous: true });
    expect(producer.pending).toBe(0);
  });

  it('rejects what was on the way when the connection ends as ambiguous, and sends what waited by the next one', async () => {
    const { broker, transport, clock } = await open();
    const producer = await produce(transport, TOPIC, { maxPendingMessages: 1 });
    const lost = producer.send(text('lost'));
    const waits = producer.send(text('waits'));
    await until(() => broker.accepted[0]!.frames.length === 1, 'sent');
    broker.accepted[0]!.socket.close(1009, 'Text message too large');
    await expect(lost).rejects.toMatchObject({
      code: 'SMARTPULSE_PULSAR_CONNECTION',
      kind: 'transient',
      ambiguous: true,
      message: expect.stringContaining('1009') as string,
    });
    await clock.advance(100);
    await until(() => broker.accepted[1]?.frames.length === 1, 'sent again');
    broker.accepted[1]!.socket.send(ok(broker.accepted[1]!.frames[0]!['context']));
    await waits;
    await transport.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('comes back within the first delay every time when each connection did some work before it was lost', async () => {
    const { broker, transport, clock } = await open();
    const producer = await produce(transport, TOPIC);
    for (let cut = 0; cut < 12; cut++) {
      const sent = producer.send(text(String(cut)));
      await until(() => broker.accepted[cut]!.frames.length === 1, 'sent');
      const { frames, socket } = broker.accepted[cut]!;
      socket.send(ok(frames[0]!['context']));
      await sent;
      const lost = producer.send(text('lost'));
      await until(() => frames.length === 2, 'sent');
      socket.terminate();
      await expect(lost).rejects.toMatchObject({ ambiguous: true });
      await clock.advance(100);
      await until(() => broker.accepted.length === cut + 2, 'back');
    }
    await transport.close();
  });

  it('gives up a send at its deadline, ambiguous when it was written, and not when no connection took it', async () => {
    const { broker, transport, clock } = await open();
    const producer = await produce(transport, TOPIC, { sendTimeoutMs: 1_000 });
    const written = producer.send(text('written'));
    await until(() => broker.accepted[0]!.frames.length === 1, 'sent');
    const late = expect(written).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_TIMEOUT', ambiguous: true });
    await clock.advance(1_000);
    await late;
    broker.refusal = { status: 503, message: 'starting' };
    broker.accepted[0]!.socket.terminate();
    await until(() => broker.accepted[0]!.socket.readyState === 3, 'lost');
    await clock.settle();
    const unsent = producer.send(text('unsent'));
    const never = expect(unsent).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_TIMEOUT', ambiguous: false });
    await clock.advance(1_000);
    await never;
  });

  it('gives up closing after the operation timeout when no broker answers, though sends have no deadline: ambiguous is only what was written', async () => {
    const { broker, transport, clock } = await open();
    const producer = await produce(transport, TOPIC, { sendTimeoutMs: 0, maxPendingMessages: 2 });
    const silent = await produce(transport, TOPIC, { sendTimeoutMs: 0 });
    const written = Promise.allSettled([silent.send(text('written'))]);
    await until(() => broker.accepted[1]!.frames.length === 1, 'sent');
    broker.refusal = { status: 503, message: 'starting' };
    broker.accepted[0]!.socket.terminate();
    await until(() => broker.accepted[0]!.socket.readyState === 3, 'lost');
    await clock.settle();
    const unsent = Promise.allSettled([1, 2, 3].map(() => producer.send(text('unsent'))));

    let isClosed = false;
    const closing = transport.close().then(() => {
      isClosed = true;
    });
    await clock.advance(4_999);
    expect(isClosed).toBe(false);
    await clock.advance(1);
    await closing;

    const closed = { reason: { code: 'SMARTPULSE_PULSAR_CLOSED', ambiguous: false } };
    expect(await unsent).toMatchObject([closed, closed, closed]);
    expect(await written).toMatchObject([{ reason: { code: 'SMARTPULSE_PULSAR_TIMEOUT', ambiguous: true } }]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('lingers until the batch is full, and leaves the gathering to the broker', async () => {
    const { broker, transport, clock } = await open();
    const batching = { enabled: true, maxMessages: 2, maxBytes: 1_000, maxDelayMs: 50 };
    const producer = await produce(transport, TOPIC, { batching });
    const sends = [producer.send(text('a'))];
    await clock.settle();
    const [accepted] = broker.accepted;
    expect(accepted!.frames).toEqual([]);
    sends.push(producer.send(text('b')));
    await until(() => accepted!.frames.length === 2, 'full');
    expect(accepted!.path).toContain('batchingEnabled=true&batchingMaxMessages=2');
    sends.push(producer.send(text('c')));
    await clock.advance(50);
    await until(() => accepted!.frames.length === 3, 'its time has come');
    for (const { context } of accepted!.frames) {
      accepted!.socket.send(ok(context));
    }
    await Promise.all(sends);
  });

  it('refuses what would end the connection, before it is sent', async () => {
    const { broker, transport } = await open();
    const producer = await produce(transport, TOPIC);
    const refused = { code: 'SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE' };
    const { maxPayloadBytes } = transport.capabilities;
    await expect(producer.send({ payload: new Uint8Array(maxPayloadBytes + 1) })).rejects.toMatchObject(refused);
    const properties = { p: 'ü'.repeat(10_000) };
    await expect(producer.send({ payload: new Uint8Array(maxPayloadBytes), properties })).rejects.toMatchObject(
      refused,
    );
    for (const more of [{ sequenceId: 1n }, { orderingKey: 'o' }, { tombstone: true }]) {
      await expect(producer.send(text('', more))).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_UNSUPPORTED' });
    }
    const fits = producer.send({
      payload: new Uint8Array(maxPayloadBytes),
      eventTimeMs: 1_700_000_000_123,
      deliverAtMs: 1_700_000_000_123,
    });
    const [accepted] = broker.accepted;
    await until(() => accepted!.frames.length === 1, 'sent');
    expect(JSON.stringify(accepted!.frames[0]).length).toBeLessThanOrEqual(1_048_576);
    accepted!.socket.send(ok(accepted!.frames[0]!['context']));
    await fits;
  });

  it('ends a connection on which a ping stays without its pong, and opens another', async () => {
    const { broker, transport, clock } = await open();
    await produce(transport, TOPIC);
    await clock.advance(30_000);
    await until(() => broker.accepted[0]!.pings === 1, 'pinged');
    await clock.settle();
    broker.pongs = false;
    await clock.advance(30_000);
    await until(() => broker.accepted[0]!.pings === 2, 'pinged again');
    expect(broker.accepted[0]!.socket.readyState).toBe(1);
    await clock.advance(30_000);
    await until(() => broker.accepted[0]!.socket.readyState === 3, 'ended');
    await clock.advance(100);
    await until(() => broker.accepted.length === 2, 'another');
  });

  it('keeps acknowledgements for the next connection while one is ending, and lets its end be heard', async () => {
    const { broker, transport, clock } = await open();
    const { consumer, messages } = await consume(transport, TOPIC, { permits: 100 });
    const first = broker.accepted[0]!;
    for (let at = 0; at < 40; at++) {
      first.socket.send(delivery(`M${String(at).padStart(3, '0')}`));
    }
    await until(() => messages.length === 40, 'delivered');
    first.socket.close(1001);
    const acks: Promise<void>[] = [];
    // One in each turn: some of them meet a socket that is closing and not closed.
    await until(() => {
      const next = messages[acks.length];
      if (next !== undefined) {
        acks.push(consumer.ack(next.id));
      }
      return acks.length === 40 && first.socket.readyState === 3;
    }, 'ended');
    await clock.settle();
    await clock.advance(100);
    await until(() => broker.accepted.length === 2, 'back');
    await Promise.all(acks);
    await transport.close();
  });

  it('permits in one command per turn, and after a reconnect what is outstanding; what is being handled is not delivered twice', async () => {
    const { broker, transport, clock } = await open();
    const { consumer, messages } = await consume(transport, TOPIC, { permits: 0 });
    const first = broker.accepted[0]!;
    expect(first.path).toContain('/ws/v2/consumer/persistent/public/default/t/s?');
    consumer.permit(3);
    consumer.permit(4);
    consumer.permit(0);
    await until(() => first.frames.length === 1, 'permitted');
    expect(first.frames).toEqual([{ type: 'permit', permitMessages: 7 }]);
    for (const id of ['AAAA', 'BBBB', 'CCCC']) {
      first.socket.send(delivery(id));
    }
    await until(() => messages.length === 3, 'delivered');
    expect(messages[0]!.publishTimeMs).toBe(Date.UTC(2026, 10, 23, 19, 29, 58, 380));
    consumer.nack(messages[1]!.id, 60_000);
    first.socket.terminate();
    await until(() => first.socket.readyState === 3, 'lost');
    await clock.settle();
    const acknowledged = consumer.ack(messages[0]!.id);
    await clock.advance(100);
    await until(() => (broker.accepted[1]?.frames.length ?? 0) === 2, 'told anew');
    const second = broker.accepted[1]!;
    expect(second.frames).toEqual([{ messageId: 'AAAA' }, { type: 'permit', permitMessages: 4 }]);
    await acknowledged;
    for (const id of ['BBBB', 'CCCC', 'DDDD']) {
      second.socket.send(delivery(id));
    }
    await until(() => messages.length === 4, 'delivered');
    expect(messages[3]!.id.toString()).toBe('DDDD');
    const permitted = () => second.frames.reduce((sum, { permitMessages = 0 }) => sum + Number(permitMessages), 0);
    await until(() => permitted() === 6, 'what was swallowed is permitted again');
    await clock.advance(60_000);
    await until(() => second.frames.some(({ type }) => type === 'negativeAcknowledge'), 'given back');
    await transport.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not say that a subscription was deleted when the socket ended before the broker had read it', async () => {
    const { broker, transport, clock } = await open();
    const { consumer } = await consume(transport, TOPIC, { permits: 0 });
    broker.breaksAt = 'unsubscribe';

    await expect(consumer.unsubscribe()).rejects.toMatchObject({
      code: 'SMARTPULSE_PULSAR_CONNECTION',
      kind: 'transient',
    });
    broker.breaksAt = undefined;
    await clock.advance(1_000);
    await until(() => broker.accepted.length === 2, 'connected again');
    await consumer.unsubscribe();
    expect(broker.accepted[1]?.frames).toContainEqual({ type: 'unsubscribe' });
    await transport.close();
  });

  it('asks for a token per connection, sends it in the header and shows it nowhere', async () => {
    let asked = 0;
    const { broker, transport, clock } = await open(async () => `secret-${++asked}`);
    await produce(transport, TOPIC);
    broker.accepted[0]!.socket.terminate();
    await until(() => broker.accepted[0]!.socket.readyState === 3, 'lost');
    await clock.advance(100);
    await until(() => broker.accepted.length === 2, 'another');
    expect(broker.accepted.map(({ authorization }) => authorization)).toEqual(['Bearer secret-1', 'Bearer secret-2']);
    expect(broker.accepted.map(({ path }) => path).join(' ')).not.toContain('secret');
    broker.refusal = { status: 401, message: 'Failed to authenticate secret-3' };
    const refused: unknown = await produce(transport, TOPIC).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'SMARTPULSE_PULSAR_AUTHENTICATION', kind: 'permanent' });
    expect(String(refused)).not.toContain('secret');
    expect(
      () =>
        new WebSocketTransport(
          { url: 'ws://u:hidden@h', token: undefined, tls: undefined, connectTimeoutMs: 1, operationTimeoutMs: 1 },
          { clock, random: new SeededRandom() },
        ),
    ).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hidden') as string }) as Error);
  });

  it.each([
    [404, '{&quot;errorMsg&quot;:&quot;Namespace not found&quot;}', 'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND'],
    [404, 'Not Found', 'SMARTPULSE_PULSAR_INVALID_OPTIONS'],
    [403, 'Not authorized', 'SMARTPULSE_PULSAR_AUTHORIZATION'],
    [409, 'Exclusive consumer is already connected', 'SMARTPULSE_PULSAR_CONSUMER_BUSY'],
    [409, 'Subscription is of different type.', 'SMARTPULSE_PULSAR_SUBSCRIPTION_MISMATCH'],
    [400, 'Invalid query params: Invalid subscriptionType', 'SMARTPULSE_PULSAR_INVALID_OPTIONS'],
    [400, 'Invalid query params: Invalid topic name format', 'SMARTPULSE_PULSAR_INVALID_TOPIC'],
    [503, 'Topic was already terminated', 'SMARTPULSE_PULSAR_TOPIC_TERMINATED'],
  ])('reads a handshake refused with %i "%s" as %s', async (status, message, code) => {
    const { broker, transport } = await open();
    broker.refusal = { status, message };
    await expect(consume(transport, TOPIC)).rejects.toMatchObject({ code, topic: TOPIC });
  });

  it('tries a broker that is not ready again, and tells a consumer that it is gone when the broker will not have it back', async () => {
    const { broker, transport, clock } = await open();
    broker.refusal = { status: 500, message: 'starting' };
    const made = consume(transport, TOPIC);
    await until(() => broker.attempts === 1, 'asked');
    await clock.settle();
    broker.refusal = undefined;
    await clock.until(() => broker.accepted.length === 1);
    const { closed } = await made;
    broker.refusal = { status: 403, message: 'Not authorized' };
    broker.accepted[0]!.socket.terminate();
    await until(() => broker.accepted[0]!.socket.readyState === 3, 'lost');
    await clock.advance(200);
    await until(() => closed.length === 1, 'told');
    expect(closed[0]).toMatchObject({ code: 'SMARTPULSE_PULSAR_AUTHORIZATION' });
  });

  it('connects where a broker answers and accepts the token, whatever it says to the path of the probe', async () => {
    const { broker, transport, clock } = await open('secret');
    broker.refusal = { status: 404, message: '{&quot;errorMsg&quot;:&quot;Namespace not found&quot;}' };
    await transport.connect();
    broker.refusal = { status: 500, message: 'Server error' };
    await transport.connect();
    broker.refusal = { status: 401, message: 'Failed to authenticate' };
    await expect(transport.connect()).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_AUTHENTICATION' });
    broker.refusal = { status: 404, message: 'Not Found' };
    await expect(transport.connect()).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_INVALID_OPTIONS' });
    await transport.close();
    await expect(transport.connect()).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_CLOSED' });
    expect(clock.pendingTimers).toBe(0);
  });
});
