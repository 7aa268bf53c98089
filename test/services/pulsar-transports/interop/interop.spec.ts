import { PulsarClient, type ReceivedMessage } from '@smartpulse/pulsar-wire';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JavaPeers, type Search } from '../../../support/pulsar-peers/java.js';
import { type Peer } from '../../../support/pulsar-peers/peer.js';
import { preparePython } from '../../../support/pulsar-peers/python.js';
import { runtimeForTests } from '../../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../../support/pulsar/standalone.js';

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

describe.runIf(runtime !== undefined)('the wire client and', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
      client = new PulsarClient({
        serviceUrl: pulsar.serviceUrl,
        clock: new SystemClock(),
        random: new SystemRandom(),
      });
    }
  });
  afterAll(async () => {
    await client?.close();
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

  describe.each([true, false])('batches: %s', (batching) => {
    it.each(COMPRESSIONS)('reads what the wire client writes, compression %s', async (compression) => {
      const topic = `persistent://public/default/to-${name}-${compression}-${batching}`;
      await write(topic, messages, { compression, batching });
      const read = await peer.ask<{ readonly messages: readonly Told[] }>({
        kind: 'read',
        topic,
        count: messages.length,
      });

      expect(sorted(read.messages)).toEqual(sorted(messages));
      // One key, or none: those keep the order in which they were sent.
      expect(numbers(read.messages)).toEqual(numbers(messages));
    });

    it.each(COMPRESSIONS)('writes what the wire client reads, compression %s', async (compression) => {
      const topic = `persistent://public/default/from-${name}-${compression}-${batching}`;
      await peer.ask({ kind: 'write', topic, messages, compression, batching });
      const received = await receive(topic, messages.length);

      expect(sorted(received)).toEqual(sorted(messages));
      expect(numbers(received)).toEqual(numbers(messages));
    });
  });
}

async function write(
  topic: string,
  messages: readonly Told[],
  { compression, batching }: { readonly compression: Compression; readonly batching: boolean },
): Promise<void> {
  const producer = await client.createProducer({ topic, compression, batching: { enabled: batching } });
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

async function receive(topic: string, count: number): Promise<readonly Told[]> {
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
