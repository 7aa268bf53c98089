import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import { WebSocketTransport } from '@smartpulse/pulsar/websocket';
import { WireTransport } from '@smartpulse/pulsar/wire';
import type {
  ConnectionOptions,
  MessageId,
  PulsarTransport,
  TransportConsumer,
  TransportProducerOptions,
} from '@smartpulse/pulsar';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import type { Settings } from './job.ts';
import { Milestone, type Subject } from './subject.ts';

/** The transports that the module is measured over. */
export type TransportName = 'in-process' | 'wire' | 'websocket';

export const MAX_PENDING_BYTES = 67_108_864;
export const SEND_TIMEOUT_MS = 30_000;

const clock = new SystemClock();
const random = new SystemRandom();

export function createTransport(name: TransportName, settings: Settings): PulsarTransport {
  if (name === 'wire') {
    return new WireTransport(connection(settings.serviceUrl), { clock, random });
  }
  if (name === 'websocket') {
    return new WebSocketTransport(connection(settings.webSocketUrl), { clock, random });
  }
  // Enough for the topics that are read, and little enough that those that are only written stop growing.
  return new InProcessTransport(new InProcessBroker({ clock, random, retention: { maxMessages: 200_000 } }));
}

/** Which messages share a batch. */
export type KeyedBatches = 'by-key' | 'mixed';

/** What somebody writes who has the port and nothing above it: no lanes, no attempts, no time-outs, no metrics. */
export async function bareSubject(name: TransportName, batchKeyed: KeyedBatches, settings: Settings): Promise<Subject> {
  const transport = createTransport(name, settings);
  await transport.connect();
  return overTransport(transport, batchKeyed, settings);
}

export function overTransport(transport: PulsarTransport, batchKeyed: KeyedBatches, settings: Settings): Subject {
  return {
    sender: async (topic) => {
      const producer = await transport.createProducer(producerOptions(topic, batchKeyed, settings));
      return {
        send: (payload, key) => producer.send({ payload, key }),
        close: () => producer.close(),
      };
    },
    receiver: async (topic, subscription, onMessage) => {
      const permits = settings.concurrency + settings.prefetch;
      const refillAt = permits / 2;
      const acknowledged = new Milestone();
      const onAcknowledged = (): void => acknowledged.passed();
      let spent = 0;
      const { promise: failed, reject } = Promise.withResolvers<never>();
      let consumer: TransportConsumer | undefined;
      const onDelivered = (id: MessageId, payload: Uint8Array): void => {
        onMessage(payload);
        consumer?.ack(id).then(onAcknowledged, reject);
        // Half a window at a time, as the official clients do it.
        spent++;
        if (spent === refillAt) {
          consumer?.permit(spent);
          spent = 0;
        }
      };
      consumer = await transport.subscribe(
        {
          topic,
          subscription,
          // Batches of mixed keys do not go with Key_Shared: all read alike.
          type: 'Shared',
          initialPosition: 'earliest',
          durable: true,
          expectedPermits: permits,
        },
        { onMessage: (message) => onDelivered(message.id, message.payload), onClosed: reject },
      );
      consumer.permit(permits);
      return {
        settled: (messages) => Promise.race([failed, acknowledged.reached(messages)]),
        close: async () => consumer.close(),
      };
    },
    sendAlone: async (topic, payload) => {
      const producer = await transport.createProducer({
        ...producerOptions(topic, batchKeyed, settings),
        // Nobody joins the batch of one.
        batching: { enabled: false, maxMessages: 1, maxBytes: 1, maxDelayMs: 0 },
      });
      await producer.send({ payload });
      await producer.close();
    },
    close: () => transport.close(),
  };
}

function producerOptions(topic: string, keyed: KeyedBatches, settings: Settings): TransportProducerOptions {
  return {
    topic,
    batching: {
      enabled: true,
      maxMessages: settings.batchMessages,
      maxBytes: settings.batchBytes,
      maxDelayMs: settings.lingerMs,
      keyed,
    },
    maxPendingMessages: settings.window,
    maxPendingBytes: MAX_PENDING_BYTES,
    compression: 'none',
    sendTimeoutMs: SEND_TIMEOUT_MS,
  };
}

function connection(url: string): ConnectionOptions {
  return { url, token: undefined, tls: undefined, connectTimeoutMs: 10_000, operationTimeoutMs: 30_000 };
}
