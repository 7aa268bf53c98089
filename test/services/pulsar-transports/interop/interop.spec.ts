import { PulsarClient, type ReceivedMessage } from '@smartpulse/pulsar-wire';
import type { PulsarTransport } from '@smartpulse/pulsar';
import { NativeTransport } from '@smartpulse/pulsar/native';
import { WebSocketTransport } from '@smartpulse/pulsar/websocket';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JavaPeers, type Search } from '../../../support/pulsar-peers/java.js';
import { type Peer } from '../../../support/pulsar-peers/peer.js';
import { preparePython } from '../../../support/pulsar-peers/python.js';
import { runtimeForTests } from '../../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../../support/pulsar/standalone.js';
import { missingAddon, WITHOUT_ADDON } from '../../../support/pulsar/native-addon.js';

/** A message as the peers speak of it. */
interface Told {
  /** Base64; null: none at all. */
  readonly payload: string | null;
  readonly key?: string;
  /** Base64. */
  readonly orderingKey?: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly eventTimeMs?: number;
}

const COMPRESSIONS = ['none', 'lz4', 'zlib', 'zstd', 'snappy'] as const;
type Compression = (typeof COMPRESSIONS)[number];

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

/** Everything that a message can carry, with letters of one to four bytes. */
const MESSAGES: readonly Told[] = [
  {
    payload: base64('größe 風 🌬 '.repeat(300)),
    key: 'schlüssel-風-🔑',
    properties: { a: '1', ü: '風 🌬', empty: '' },
    eventTimeMs: 1_700_000_000_123,
  },
  { payload: base64('ordered'), orderingKey: base64('reihe-風'), properties: {} },
  { payload: base64('both'), key: 'k', orderingKey: base64('o'), properties: { only: 'one' } },
  { payload: base64(''), key: 'empty', properties: {} },
  ...Array.from({ length: 60 }, (_, index): Told => ({ payload: base64(`m-${index}`), properties: { n: `${index}` } })),
];
const TOMBSTONE: Told = { payload: null, key: 'gone', properties: { why: 'deleted' } };

const runtime = await runtimeForTests();
const java = runtime && required(await JavaPeers.compile(runtime, 'InteropPeer.java'));
const python = runtime && required(await preparePython());

let pulsar: PulsarStandalone;
let client: PulsarClient;
let socket: PulsarTransport;
let native: PulsarTransport;

/** One of our ways to a broker, as far as interop goes. */
interface Way {
  readonly name: string;
  /** What it can carry of a message. */
  readonly carries: (message: Told) => Told;
  readonly compressions: readonly Compression[];
  readonly write: typeof writeByWire;
  readonly receive: typeof receiveByWire;
}

const EVERY_WAY: readonly Way[] = [
  {
    name: 'wire',
    carries: (message) => message,
    compressions: COMPRESSIONS,
    write: writeByWire,
    receive: receiveByWire,
  },
  {
    name: 'websocket',
    carries: ({ orderingKey: _left, ...message }) => message,
    compressions: COMPRESSIONS,
    ...overPort(() => socket),
  },
  {
    name: 'native',
    carries: (message) => message,
    compressions: COMPRESSIONS.filter((compression) => compression !== 'zlib'),
    ...overPort(() => native),
  },
];
const WAYS = EVERY_WAY.filter(({ name }) => name !== 'native' || missingAddon === undefined);

if (missingAddon !== undefined) {
  it.skip(WITHOUT_ADDON);
}

describe.runIf(runtime !== undefined)('our transports and', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
      const [clock, random] = [new SystemClock(), new SystemRandom()];
      const connection = { token: undefined, tls: undefined, connectTimeoutMs: 10_000, operationTimeoutMs: 10_000 };
      client = new PulsarClient({ serviceUrl: pulsar.serviceUrl, clock, random });
      socket = new WebSocketTransport({ url: pulsar.webSocketUrl, ...connection }, { clock, random });
      native = new NativeTransport({ url: pulsar.serviceUrl, ...connection }, { clock });
    }
  });
  afterAll(async () => {
    await client?.close();
    await socket?.close();
    await native?.close();
    await pulsar?.stop();
    java?.[Symbol.dispose]();
  });

  describe.runIf(java !== undefined)('the official Java client', () => {
    // Only this one writes and reads messages that have no payload at all.
    suite('java', () => java?.start('InteropPeer', [pulsar.serviceUrl]), [...MESSAGES, TOMBSTONE]);
  });
  describe.runIf(python !== undefined)('the official Python client', () => {
    suite('python', () => python?.('interop_peer.py', pulsar.serviceUrl), MESSAGES);
  });
});

function suite(name: string, start: () => Peer | undefined, messages: readonly Told[]): void {
  let peer: Peer;

  beforeAll(() => {
    peer = start() ?? expect.unreachable();
  });
  afterAll(async () => {
    await peer?.close();
  });

  describe.each(WAYS)('and $name', (way) => {
    // A payload that is none at all is the wire client's alone.
    const told = messages.filter(({ payload }) => payload !== null || way.name === 'wire').map(way.carries);

    describe.each([true, false])('batches: %s', (batching) => {
      it.each(way.compressions)('reads what we write, compression %s', async (compression) => {
        const topic = `persistent://public/default/to-${name}-${way.name}-${compression}-${batching}`;
        await way.write(topic, told, { compression, batching });
        const read = await peer.ask<{ readonly messages: readonly Told[] }>({
          kind: 'read',
          topic,
          count: told.length,
        });

        expect(sorted(read.messages)).toEqual(sorted(told));
        // One key, or none: those keep the order in which they were sent.
        expect(numbers(read.messages)).toEqual(numbers(told));
      });

      it.each(way.compressions)('writes what we read, compression %s', async (compression) => {
        const topic = `persistent://public/default/from-${name}-${way.name}-${compression}-${batching}`;
        await peer.ask({ kind: 'write', topic, messages: told, compression, batching });
        const received = await way.receive(topic, told.length);

        expect(sorted(received)).toEqual(sorted(told));
        expect(numbers(received)).toEqual(numbers(told));
      });
    });

    it.runIf(way.name === 'wire')('reads our batches of mixed keys in the order of the calls', async () => {
      const topic = `persistent://public/default/to-${name}-${way.name}-mixed`;
      await way.write(topic, told, { compression: 'none', batching: 'mixed' });
      const read = await peer.ask<{ readonly messages: readonly Told[] }>({ kind: 'read', topic, count: told.length });

      expect(await pulsar.admin.entries('public/default/' + topic.slice(topic.lastIndexOf('/') + 1))).toBe(1);
      expect(read.messages).toEqual(told);
    });
  });
}

async function writeByWire(
  topic: string,
  messages: readonly Told[],
  { compression, batching }: { readonly compression: Compression; readonly batching: boolean | 'mixed' },
): Promise<void> {
  const producer = await client.createProducer({
    topic,
    compression,
    batching: { enabled: batching !== false, keyed: batching === 'mixed' ? 'mixed' : 'by-key' },
  });
  const sent = messages.map(({ payload, orderingKey, ...rest }) =>
    producer.send({
      ...rest,
      payload: payload === null ? null : Buffer.from(payload, 'base64'),
      orderingKey: orderingKey === undefined ? undefined : Buffer.from(orderingKey, 'base64'),
    }),
  );
  await producer.close();
  await Promise.all(sent);
}

async function receiveByWire(topic: string, count: number): Promise<readonly Told[]> {
  const messages: Told[] = [];
  let onAll = (): void => {};
  const all = new Promise<void>((resolve) => {
    onAll = resolve;
  });
  const consumer = await client.subscribe(
    { topic, subscription: 'interop', initialPosition: 'earliest' },
    {
      onMessage: (message) => {
        messages.push(told(message));
        if (messages.length === count) {
          onAll();
        }
      },
      onClosed: () => {},
    },
  );
  consumer.permit(count);
  await all;
  await consumer.close();
  return messages;
}

/** By what the port knows of a message; what a transport does not carry, its messages here do not have. */
function overPort(of: () => PulsarTransport): Pick<Way, 'write' | 'receive'> {
  return {
    write: async (topic, messages, { compression, batching }) => {
      const producer = await of().createProducer({
        topic,
        compression,
        batching: { enabled: batching !== false, maxMessages: 100, maxBytes: 131_072, maxDelayMs: 5 },
        maxPendingMessages: 500,
        maxPendingBytes: 10_000_000,
        sendTimeoutMs: 10_000,
      });
      const sent = messages.map(({ payload, orderingKey, ...rest }) =>
        producer.send({
          ...rest,
          payload: Buffer.from(payload ?? '', 'base64'),
          ...(orderingKey === undefined ? {} : { orderingKey: Buffer.from(orderingKey, 'base64').toString() }),
        }),
      );
      await producer.close();
      await Promise.all(sent);
    },
    receive: async (topic, count) => {
      const messages: Told[] = [];
      const consumer = await of().subscribe(
        { topic, subscription: 'interop', type: 'Exclusive', initialPosition: 'earliest', durable: true },
        {
          onMessage: ({ payload, key, orderingKey, properties, eventTimeMs }) =>
            messages.push({
              payload: Buffer.from(payload).toString('base64'),
              ...(key === undefined ? {} : { key }),
              ...(orderingKey === undefined ? {} : { orderingKey: base64(orderingKey) }),
              properties: { ...properties },
              ...(eventTimeMs === undefined ? {} : { eventTimeMs }),
            }),
          onClosed: (error) => expect.fail(String(error)),
        },
      );
      consumer.permit(count);
      await expect.poll(() => messages.length, { timeout: 20_000 }).toBe(count);
      await consumer.close();
      return messages;
    },
  };
}

function told({ payload, isTombstone, key, orderingKey, properties, eventTimeMs }: ReceivedMessage): Told {
  return {
    payload: isTombstone ? null : Buffer.from(payload).toString('base64'),
    ...(key === undefined ? {} : { key }),
    ...(orderingKey === undefined ? {} : { orderingKey: Buffer.from(orderingKey).toString('base64') }),
    properties: { ...properties },
    ...(eventTimeMs === undefined ? {} : { eventTimeMs }),
  };
}

/** Messages of different keys may overtake one another where each key has a batch of its own. */
function sorted(messages: readonly Told[]): readonly Told[] {
  return messages.toSorted((a, b) => (identity(a) < identity(b) ? -1 : 1));
}

function identity({ payload, key = '' }: Told): string {
  return `${key} ${payload}`;
}

function numbers(messages: readonly Told[]): readonly (string | undefined)[] {
  return messages.map(({ properties }) => properties['n']).filter((number) => number !== undefined);
}

/** What is missing skips its part with a sentence; under `REQUIRE_SERVICES=1` it fails. */
function required<T>(search: Search<T>): T | undefined {
  if (search.available) {
    return search.value;
  }
  if (process.env['REQUIRE_SERVICES'] === '1') {
    throw new Error(search.reason);
  }
  console.warn(`Skipped: ${search.reason}`);
  return undefined;
}
