import type { Clock } from '@smartpulse/resilience';
import type { ProducerDefaults, TopicProducerOptions } from '../pulsar.options.js';
import type { PulsarTransport } from '../transport/pulsar.transport.js';
import type { OutgoingSettings } from './outgoing.js';
import type { ProducerProfile } from './producer-pool.js';

/** How messages go to one topic. */
export interface TopicProducer {
  readonly profile: ProducerProfile;
  /** Unbatched and without a name, for what must not wait for others. */
  readonly direct: ProducerProfile;
  readonly outgoing: OutgoingSettings;
  /** Publishes at once, those that wait included. */
  readonly maxUses: number;
}

/** The producer options of each topic: the app's, or what is said for that topic on top of them. */
export class TopicProducers {
  readonly #byTopic = new Map<string, TopicProducer>();
  readonly #others: TopicProducer;

  /** @param defaults its `topics` are named in full. */
  constructor(defaults: ProducerDefaults, clock: Clock, transport: PulsarTransport) {
    const make = (options: TopicProducerOptions): TopicProducer => topicProducer(options, clock, transport);
    this.#others = make(defaults);
    for (const [topic, options] of Object.entries(defaults.topics ?? {})) {
      this.#byTopic.set(topic, make({ ...defaults, ...options }));
    }
  }

  /** @param topic the full name. */
  of(topic: string): TopicProducer {
    return this.#byTopic.size === 0 ? this.#others : (this.#byTopic.get(topic) ?? this.#others);
  }
}

function topicProducer(options: TopicProducerOptions, clock: Clock, transport: PulsarTransport): TopicProducer {
  const profile = profileOf(options);
  const { producerName, validate } = options;
  return Object.freeze({
    profile,
    direct: directProfileOf(profile),
    outgoing: { clock, transport, producerName, validate },
    maxUses: options.maxPendingMessages + options.maxWaitingMessages,
  });
}

function profileOf(options: TopicProducerOptions): ProducerProfile {
  return Object.freeze({
    ...(options.producerName === undefined ? {} : { producerName: options.producerName }),
    batching: Object.freeze({
      enabled: options.batching,
      maxMessages: options.batchMaxMessages,
      maxBytes: options.batchMaxBytes,
      maxDelayMs: options.batchMaxDelayMs,
      keyed: options.batchKeyed,
    }),
    maxPendingMessages: options.maxPendingMessages,
    maxPendingBytes: options.maxPendingBytes,
    compression: options.compression,
    sendTimeoutMs: options.sendTimeoutMs,
  });
}

/** A second producer of the name would be refused. */
function directProfileOf(profile: ProducerProfile): ProducerProfile {
  const { batching, maxPendingMessages, maxPendingBytes, compression, sendTimeoutMs } = profile;
  return Object.freeze({
    batching: Object.freeze({ ...batching, enabled: false }),
    maxPendingMessages,
    maxPendingBytes,
    compression,
    sendTimeoutMs,
  });
}
