import type { PulsarCodec } from '../codec/pulsar-codec.js';
import { jsonCodec } from '../codec/pulsar-codec.js';
import type { EventContract } from '../event/define-event.js';
import { ignoreUnasked } from '../consumer/deferred.js';
import { InvalidPayloadError, PulsarError } from '../pulsar.errors.js';
import type { OutgoingMessage, TransportCapabilities } from '../transport/pulsar.transport.js';
import type { PublishOptions } from './publish-options.js';

/** What the making of a message needs to know. */
export interface OutgoingSettings {
  readonly topic: string;
  readonly nowMs: number;
  readonly capabilities: TransportCapabilities;
  readonly producerName: string | undefined;
  readonly validate: boolean;
}

/**
 * Makes the message of a publish.
 *
 * @throws PulsarError, permanent: options that contradict one another, or data that the codec cannot encode; InvalidPayloadError when it does not
 *   fit the contract's schema.
 */
export function outgoingMessage<T>(
  contract: string | EventContract<T>,
  data: T,
  options: PublishOptions<T>,
  settings: OutgoingSettings,
): OutgoingMessage {
  const deliverAtMs = deliveryTime(options, settings);
  if (options.sequenceId !== undefined && settings.producerName === undefined) {
    throw invalid(settings.topic, '"sequenceId" has no effect without a producer name', 'Set producer.producerName.');
  }
  const codec = options.codec ?? (typeof contract === 'string' ? jsonCodec<T>() : contract.codec);
  const { orderingKey, properties, eventTimeMs, sequenceId } = options;
  refuseWhatIsNotOffered(options, settings);
  const payload = encode(codec, data, settings.topic);
  if (typeof contract !== 'string' && (options.validate ?? settings.validate)) {
    validate(contract, codec, payload, settings.topic);
  }
  const key = options.key ?? (typeof contract === 'string' ? undefined : keyOf(contract, data, settings.topic));
  return {
    payload,
    ...(key === undefined ? {} : { key }),
    ...(orderingKey === undefined ? {} : { orderingKey }),
    ...(properties === undefined ? {} : { properties }),
    ...(eventTimeMs === undefined ? {} : { eventTimeMs }),
    ...(deliverAtMs === undefined ? {} : { deliverAtMs }),
    ...(sequenceId === undefined ? {} : { sequenceId }),
  };
}

/** Asks the schema about what a consumer will read, which is not always what was given: dates become text, `undefined` is left out. */
function validate<T>(contract: EventContract<T>, codec: PulsarCodec<T>, payload: Uint8Array, topic: string): void {
  let value: T;
  try {
    value = codec.decode(payload);
  } catch (cause) {
    throw new InvalidPayloadError(topic, [], cause, 'published');
  }
  const result = contract.schema['~standard'].validate(value);
  if (result instanceof Promise) {
    ignoreUnasked(result);
    throw invalid(
      topic,
      `the schema of event "${contract.name}" answers later, and messages would lose the order of the calls`,
      'Give the contract a schema that answers at once, or publish with validate: false.',
    );
  }
  if (result.issues !== undefined) {
    throw new InvalidPayloadError(topic, result.issues, undefined, 'published');
  }
}

/** An ordering key or a sequence id that is left out in silence would change what the message means. */
function refuseWhatIsNotOffered<T>(options: PublishOptions<T>, { topic, capabilities }: OutgoingSettings): void {
  if (options.orderingKey !== undefined && !capabilities.orderingKeys) {
    throw invalid(topic, 'the transport has no ordering keys', 'Order by "key" instead.');
  }
  if (options.sequenceId !== undefined && !capabilities.deduplication) {
    throw invalid(topic, 'the transport has no sequence ids', 'Leave sequenceId out, or use pulsar://.');
  }
}

function deliveryTime<T>(options: PublishOptions<T>, settings: OutgoingSettings): number | undefined {
  const { deliverAtMs, deliverAfterMs } = options;
  if (deliverAtMs === undefined && deliverAfterMs === undefined) {
    return undefined;
  }
  if (deliverAtMs !== undefined && deliverAfterMs !== undefined) {
    throw invalid(settings.topic, '"deliverAtMs" and "deliverAfterMs" are both given', 'Give one of them.');
  }
  if (!settings.capabilities.delayedDelivery) {
    throw invalid(settings.topic, 'the transport has no delayed delivery', 'Leave deliverAtMs and deliverAfterMs out.');
  }
  const timeMs = deliverAtMs ?? settings.nowMs + (deliverAfterMs ?? 0);
  if (!Number.isFinite(timeMs) || (deliverAfterMs ?? 0) < 0) {
    throw invalid(settings.topic, 'the delivery time is no time', 'Give milliseconds, 0 or more.');
  }
  return timeMs;
}

function encode<T>(codec: PulsarCodec<T>, data: T, topic: string): Uint8Array {
  try {
    return codec.encode(data);
  } catch (cause) {
    throw encodingError(topic, cause);
  }
}

function keyOf<T>(contract: EventContract<T>, data: T, topic: string): string | undefined {
  try {
    return contract.key?.(data);
  } catch (cause) {
    throw encodingError(topic, cause);
  }
}

function encodingError(topic: string, cause: unknown): PulsarError {
  return new PulsarError('SMARTPULSE_PULSAR_ENCODING', `Data for ${topic} cannot be encoded.`, {
    kind: 'permanent',
    remedy: 'See the cause; nothing was sent.',
    topic,
    cause,
  });
}

function invalid(topic: string, problem: string, remedy: string): PulsarError {
  return new PulsarError('SMARTPULSE_PULSAR_INVALID_OPTIONS', `A publish to ${topic}: ${problem}.`, {
    kind: 'permanent',
    remedy,
    topic,
  });
}
