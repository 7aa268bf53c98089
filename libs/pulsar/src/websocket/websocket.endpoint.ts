import { PulsarError } from '../pulsar.errors.js';
import { brokerFailure } from '../transport/broker-failure.js';
import type { TransportProducerOptions, TransportSubscribeOptions } from '../transport/pulsar.transport.js';

/** What a socket is opened for: the broker makes the producer or consumer while it answers the handshake. */
export interface Endpoint {
  readonly role: 'producer' | 'consumer' | 'probe';
  readonly topic: string | undefined;
  /** Path and query, without the address. */
  readonly path: string;
}

/**
 * Messages that the broker's side of a consumer reads ahead of the permits; no other consumer gets them meanwhile. 0 would end the consumer at
 * the first batch; 1 halves what arrives unbatched, and hundreds, which double it, would lie idle with a slow handler.
 */
const READ_AHEAD = 16;
/** The broker caps it there. */
const MAX_READ_AHEAD = 1_000;
/** How long the broker's side waits for the rest of a batch: the linger itself is on this side, which sends the batch in one go. */
const BATCH_GATHER_MS = 1;
/** Room of the broker's own queue above our window: it answers a send before it has left that queue. */
const QUEUE_HEADROOM = 1.5;
const TOPIC = /^(persistent|non-persistent):\/\/([^/]+)\/([^/]+)\/([^/]+)$/;

/** The path under which a broker looks at the token and makes nothing: its tenant does not exist. */
export const PROBE: Endpoint = Object.freeze({
  role: 'probe',
  topic: undefined,
  path: '/ws/v2/consumer/persistent/smartpulse-probe/none/none/none',
});

/**
 * Where the API is.
 *
 * @throws PulsarError of code `SMARTPULSE_PULSAR_INVALID_OPTIONS`; its text never shows the address, which may carry a credential.
 */
export function parseAddress(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw invalidAddress('The address is no URL.');
  }
  if (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:') {
    throw invalidAddress('The address is neither ws:// nor wss://.');
  }
  if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '' || parsed.hash !== '') {
    throw invalidAddress('The address carries more than host, port and path.');
  }
  return `${parsed.protocol}//${parsed.host}${parsed.pathname.replace(/\/+$/, '')}`;
}

/** Where a producer is made. */
export function producerEndpoint(options: TransportProducerOptions): Endpoint {
  const { topic, batching } = options;
  const query = new URLSearchParams({
    sendTimeoutMillis: String(options.sendTimeoutMs),
    messageRoutingMode: 'RoundRobinPartition',
    compressionType: options.compression.toUpperCase(),
  });
  if (options.producerName !== undefined) {
    query.set('producerName', options.producerName);
  }
  if (batching.enabled) {
    query.set('batchingEnabled', 'true');
    query.set('batchingMaxMessages', String(batching.maxMessages));
    query.set('batchingMaxPublishDelay', String(BATCH_GATHER_MS));
    // Read only with batching; without it the broker's side has no limit.
    query.set('maxPendingMessages', String(Math.ceil(options.maxPendingMessages * QUEUE_HEADROOM)));
  }
  return { role: 'producer', topic, path: `/ws/v2/producer/${topicPath(topic)}?${query.toString()}` };
}

/** Where a consumer is made. */
export function consumerEndpoint(options: TransportSubscribeOptions): Endpoint {
  const { topic, subscription } = options;
  const query = new URLSearchParams({
    subscriptionType: options.type,
    subscriptionMode: options.durable ? 'Durable' : 'NonDurable',
    subscriptionInitialPosition: options.initialPosition === 'earliest' ? 'Earliest' : 'Latest',
    pullMode: 'true',
    receiverQueueSize: String(readAhead(options.expectedPermits)),
    // The delay is ours: the broker's is one for all messages of a consumer.
    negativeAckRedeliveryDelay: '0',
  });
  if (options.consumerName !== undefined) {
    query.set('consumerName', options.consumerName);
  }
  const path = `/ws/v2/consumer/${topicPath(topic)}/${encodeURIComponent(subscription)}?${query.toString()}`;
  return { role: 'consumer', topic, path };
}

/** As far as the consumer will take at once: less makes the broker wait for each of its own reads, more keeps messages from others. */
function readAhead(expectedPermits = 0): number {
  return Math.min(MAX_READ_AHEAD, Math.max(READ_AHEAD, expectedPermits));
}

/** The broker ignores a surplus segment and would serve another topic: the form is checked here. */
function topicPath(topic: string): string {
  const parts = TOPIC.exec(topic);
  if (parts === null) {
    throw brokerFailure(
      'SMARTPULSE_PULSAR_INVALID_TOPIC',
      `The topic ${topic} is not of the form persistent://tenant/namespace/topic.`,
      { topic },
    );
  }
  return parts.slice(1).map(encodeURIComponent).join('/');
}

function invalidAddress(problem: string): PulsarError {
  return new PulsarError('SMARTPULSE_PULSAR_INVALID_OPTIONS', problem, {
    kind: 'permanent',
    remedy: 'Give ws://host:port or wss://host:port; a token belongs into its own option.',
  });
}
