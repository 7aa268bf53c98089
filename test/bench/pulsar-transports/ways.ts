import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import { NativeTransport } from '@smartpulse/pulsar/native';
import { WireTransport } from '@smartpulse/pulsar/wire';
import {
  type ConnectionOptions,
  type MessageId,
  type PulsarTransport,
  TransportUnavailableError,
} from '@smartpulse/pulsar';
import { type HandedOutId, PulsarClient } from '@smartpulse/pulsar-wire';
import { type Clock, type Random, SystemClock, SystemRandom } from '@smartpulse/resilience';
import { bareWebSocket } from './bare-websocket.ts';
import { type Settings } from './job.ts';
import { nativeClient } from './native-client.ts';
import { preparedFrames } from './prepared-frames.ts';
import { NotHere, type OpenWay, type Way } from './way.ts';

const MAX_PENDING_BYTES = 67_108_864;
const SEND_TIMEOUT_MS = 30_000;

const clock = new SystemClock();
const random = new SystemRandom();

/** The ways in Node, by name. */
export const WAYS: Readonly<Record<string, OpenWay>> = {
  'wire transport (port)': async (settings) =>
    overPort(new WireTransport(connection(settings.serviceUrl), { clock, random }), settings),
  'wire client, bare': bareWire,
  'node:net, frames made before': preparedFrames,
  'in-process transport (port)': async (settings) =>
    overPort(
      // Enough for the topics that are read, and little enough that those that are only written stop growing.
      new InProcessTransport(new InProcessBroker({ clock, random, retention: { maxMessages: 200_000 } })),
      settings,
    ),
  'WebSocket transport (port)': async (settings) => {
    const transport = new (await webSocketTransport())(connection(settings.webSocketUrl), { clock, random });
    return overPort(transport, settings);
  },
  'WebSocket, bare ws loop': (settings) => bareWebSocket(settings),
  'WebSocket, permits only': (settings) => bareWebSocket(settings, false),
  'native transport (port)': async (settings) => {
    try {
      return await overPort(new NativeTransport(connection(settings.serviceUrl), { clock }), settings);
    } catch (error) {
      throw TransportUnavailableError.is(error) ? new NotHere(error.message, { cause: error }) : error;
    }
  },
  'native pulsar-client': nativeClient,
};

function connection(url: string): ConnectionOptions {
  return { url, token: undefined, tls: undefined, connectTimeoutMs: 10_000, operationTimeoutMs: 30_000 };
}

async function overPort(transport: PulsarTransport, settings: Settings): Promise<Way<MessageId>> {
  await transport.connect();
  return {
    createProducer: (topic) =>
      transport
        .createProducer({
          topic,
          batching: {
            enabled: true,
            maxMessages: settings.batchMessages,
            maxBytes: settings.batchBytes,
            maxDelayMs: settings.lingerMs,
          },
          maxPendingMessages: settings.window,
          maxPendingBytes: MAX_PENDING_BYTES,
          compression: 'none',
          sendTimeoutMs: SEND_TIMEOUT_MS,
        })
        .then((producer) => ({
          send: (payload) => producer.send({ payload }),
          close: () => producer.close(),
        })),
    subscribe: (topic, subscription, onMessage) =>
      transport.subscribe(
        {
          topic,
          subscription,
          type: 'Shared',
          initialPosition: 'earliest',
          durable: true,
          expectedPermits: settings.window,
        },
        { onMessage: (message) => onMessage(message.id, message.payload), onClosed: fail },
      ),
    close: () => transport.close(),
  };
}

async function bareWire(settings: Settings): Promise<Way<HandedOutId>> {
  const client = new PulsarClient({ serviceUrl: settings.serviceUrl, clock, random });
  await client.connect();
  return {
    createProducer: (topic) =>
      client
        .createProducer({
          topic,
          batching: {
            maxMessages: settings.batchMessages,
            maxBytes: settings.batchBytes,
            maxDelayMs: settings.lingerMs,
          },
          maxPendingMessages: settings.window,
          sendTimeoutMs: SEND_TIMEOUT_MS,
        })
        .then((producer) => ({
          send: (payload) => producer.send({ payload }),
          close: () => producer.close(),
        })),
    subscribe: (topic, subscription, onMessage) =>
      client.subscribe(
        // The loop is done with a message when it acknowledges it.
        { topic, subscription, type: 'Shared', initialPosition: 'earliest', payloads: 'lent' },
        { onMessage: (message) => onMessage(message.id, message.payload), onClosed: fail },
      ),
    close: () => client.close(),
  };
}

type WebSocketTransportClass = new (
  options: ConnectionOptions,
  parts: { readonly clock: Clock; readonly random: Random },
) => PulsarTransport;

/** Looked up by name at run time, so that the benchmark runs before and after the module exists. */
async function webSocketTransport(): Promise<WebSocketTransportClass> {
  const name: string = '@smartpulse/pulsar/websocket';
  try {
    return ((await import(name)) as { readonly WebSocketTransport: WebSocketTransportClass }).WebSocketTransport;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ERR_PACKAGE_PATH_NOT_EXPORTED' || code === 'ERR_MODULE_NOT_FOUND') {
      throw new NotHere(`${name} is not built`, { cause: error });
    }
    throw error;
  }
}

function fail(error: Error): never {
  throw error;
}
