import type { Clock } from '@smartpulse/resilience';
import type { PulsarCodec } from '../codec/pulsar-codec.js';
import { jsonCodec } from '../codec/pulsar-codec.js';
import type { EventContract } from '../event/define-event.js';
import { ignoreUnasked } from '../consumer/deferred.js';
import { InvalidPayloadError, PulsarError } from '../pulsar.errors.js';
import type { OutgoingMessage, TransportCapabilities } from '../transport/pulsar.transport.js';
import { IDEMPOTENCY_KEY_PROPERTY, type PublishOptions } from './publish-options.js';

/** What the making of a message needs to know, the same for all messages of a publisher. */
export interface OutgoingSettings {
  readonly clock: Pick<Clock, 'now'>;
  readonly transport: { readonly capabilities: TransportCapabilities };
  readonly producerName: string | undefined;
  readonly validate: boolean;
}

/**
 * Makes the message of a publish to `topic`, the full name.
 *
 * @throws PulsarError, permanent: options that contradict one another, or data that the codec cannot encode; InvalidPayloadError when it does not
 *   fit the contract's schema.
 */
export function outgoingMessage<T>(
  topic: string,
  contract: string | EventContract<T>,
  data: T,
  options: PublishOptions<T>,
  settings: OutgoingSettings,
): OutgoingMessage {
  const deliverAtMs = deliveryTime(topic, options, settings);
  if (options.sequenceId !== undefined && settings.producerName === undefined) {
    throw invalid(
      topic,
      '"sequenceId" has no effect without a producer name',
      `Set producer.producerName, or producer.topics["${topic}"].producerName.`,
    );
  }
  const codec = options.codec ?? (typeof contract === 'string' ? jsonCodec<T>() : contract.codec);
  const { orderingKey, eventTimeMs, sequenceId } = options;
  const properties = propertiesOf(topic, options);
  refuseWhatIsNotOffered(topic, options, settings);
  const payload = encode(codec, data, topic);
  if (typeof contract !== 'string' && (options.validate ?? settings.validate)) {
    validate(contract, codec, payload, topic);
  }
  const key = options.key ?? (typeof contract === 'string' ? undefined : keyOf(contract, data, topic));
  if (key !== undefined && typeof key !== 'string') {
    throw invalid(
      topic,
      `the key is of type ${typeof key}, and keys are texts`,
      'Give String(key), everywhere the same.',
    );
  }
  const message: Writable<OutgoingMessage> = key === undefined ? { payload } : { payload, key };
  if (orderingKey !== undefined) {
    message.orderingKey = orderingKey;
  }
  if (properties !== undefined) {
    message.properties = properties;
  }
  if (eventTimeMs !== undefined) {
    message.eventTimeMs = eventTimeMs;
  }
  if (deliverAtMs !== undefined) {
    message.deliverAtMs = deliverAtMs;
  }
  if (sequenceId !== undefined) {
    message.sequenceId = sequenceId;
  }
  return message;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

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
function refuseWhatIsNotOffered<T>(topic: string, options: PublishOptions<T>, { transport }: OutgoingSettings): void {
  if (options.orderingKey === undefined && options.sequenceId === undefined) {
    return;
  }
  const { capabilities } = transport;
  if (options.orderingKey !== undefined && !capabilities.orderingKeys) {
    throw invalid(topic, 'the transport has no ordering keys', 'Order by "key" instead.');
  }
  if (options.sequenceId !== undefined && !capabilities.deduplication) {
    throw invalid(topic, 'the transport has no sequence ids', 'Leave sequenceId out, or use pulsar://.');
  }
}

function propertiesOf<T>(
  topic: string,
  { properties, idempotencyKey }: PublishOptions<T>,
): Readonly<Record<string, string>> | undefined {
  if (idempotencyKey === undefined) {
    return properties;
  }
  if (typeof idempotencyKey !== 'string' || idempotencyKey === '') {
    throw invalid(topic, '"idempotencyKey" names nothing', 'Give a text that is not empty, or leave it out.');
  }
  const own = properties?.[IDEMPOTENCY_KEY_PROPERTY];
  if (own !== undefined && own !== idempotencyKey) {
    throw invalid(
      topic,
      `"idempotencyKey" and the property ${IDEMPOTENCY_KEY_PROPERTY} are both given, and differ`,
      'Give one of them.',
    );
  }
  return { ...properties, [IDEMPOTENCY_KEY_PROPERTY]: idempotencyKey };
}

function deliveryTime<T>(
  topic: string,
  options: PublishOptions<T>,
  { clock, transport }: OutgoingSettings,
): number | undefined {
  const { deliverAtMs, deliverAfterMs } = options;
  if (deliverAtMs === undefined && deliverAfterMs === undefined) {
    return undefined;
  }
  if (deliverAtMs !== undefined && deliverAfterMs !== undefined) {
    throw invalid(topic, '"deliverAtMs" and "deliverAfterMs" are both given', 'Give one of them.');
  }
  if (!transport.capabilities.delayedDelivery) {
    throw invalid(topic, 'the transport has no delayed delivery', 'Leave deliverAtMs and deliverAfterMs out.');
  }
  const timeMs = deliverAtMs ?? clock.now() + (deliverAfterMs ?? 0);
  if (!Number.isFinite(timeMs) || (deliverAfterMs ?? 0) < 0) {
    throw invalid(topic, 'the delivery time is no time', 'Give milliseconds, 0 or more.');
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
