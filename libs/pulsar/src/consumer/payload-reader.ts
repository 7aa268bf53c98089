import { type PulsarCodec, jsonCodec } from '../codec/pulsar-codec.js';
import { InvalidPayloadError } from '../pulsar.errors.js';
import type { IncomingMessage } from '../transport/pulsar.transport.js';
import type { ConsumerOptions } from './consumer-options.js';

/** Reads payloads: decodes, then checks the contract's schema. */
export class PayloadReader<T> {
  readonly #options: ConsumerOptions<T>;
  readonly #codec: PulsarCodec<T>;

  constructor(options: ConsumerOptions<T>) {
    this.#options = options;
    this.#codec = options.codec ?? (typeof options.topic === 'string' ? jsonCodec<T>() : options.topic.codec);
  }

  /** @throws InvalidPayloadError with the schema's issues, or with the codec's error as its cause. */
  async read(message: IncomingMessage): Promise<T> {
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
    const result = await topic.schema['~standard'].validate(value);
    if (result.issues !== undefined) {
      throw new InvalidPayloadError(message.topic, result.issues);
    }
    return result.value;
  }
}
