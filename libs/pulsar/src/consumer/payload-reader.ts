import type { StandardSchemaV1 } from '@smartpulse/resilience';
import { type PulsarCodec, jsonCodec } from '../codec/pulsar-codec.js';
import { InvalidPayloadError } from '../pulsar.errors.js';
import type { IncomingMessage } from '../transport/pulsar.transport.js';
import type { ConsumerOptions } from './consumer-options.js';

/** Reads payloads: decodes, then checks the contract's schema. */
export class PayloadReader<T> {
  readonly #options: Pick<ConsumerOptions<T>, 'codec' | 'topic'>;
  readonly #codec: PulsarCodec<T>;

  constructor(options: Pick<ConsumerOptions<T>, 'codec' | 'topic'>) {
    this.#options = options;
    this.#codec = options.codec ?? (typeof options.topic === 'string' ? jsonCodec<T>() : options.topic.codec);
  }

  /**
   * Answers at once unless the schema answers later.
   *
   * @throws InvalidPayloadError with the schema's issues, or with the codec's error as its cause.
   */
  read(message: IncomingMessage): T | Promise<T> {
    let value: T;
    try {
      value = this.#codec.decode(message.payload);
    } catch (cause) {
      throw new InvalidPayloadError(message.topic, [], cause);
    }
    const { topic } = this.#options;
    if (typeof topic === 'string') {
      return value;
    }
    const result = topic.schema['~standard'].validate(value);
    return result instanceof Promise
      ? result.then((answer) => accepted(answer, message.topic))
      : accepted(result, message.topic);
  }
}

function accepted<T>(result: StandardSchemaV1.Result<T>, topic: string): T {
  if (result.issues !== undefined) {
    throw new InvalidPayloadError(topic, result.issues);
  }
  return result.value;
}
