import { InvalidWireOptionError } from '../client/client.errors.js';
import { schemaData } from '../client/declared-schema.js';
import { wholeNumber } from '../client/client.options.js';
import { COMPRESSION } from '../protocol/compression/compression.js';
import { ACCESS_MODE } from '../protocol/command/enumerations.js';
import { type ProducerOptions, WIRE_PRODUCER_DEFAULTS } from './producer.options.js';
import type { TopicProducerOptions } from './topic-producer.js';

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {@link InvalidWireOptionError}
 */
export function producerSettings(options: ProducerOptions): Omit<TopicProducerOptions, 'topic' | 'partition'> {
  const { batching = {} } = options;
  const defaults = WIRE_PRODUCER_DEFAULTS;
  return {
    producerName: options.producerName,
    batching: {
      enabled: batching.enabled ?? defaults.batching.enabled,
      maxMessages: wholeNumber(
        'batching.maxMessages',
        batching.maxMessages ?? defaults.batching.maxMessages,
        1,
        100_000,
      ),
      maxBytes: wholeNumber('batching.maxBytes', batching.maxBytes ?? defaults.batching.maxBytes, 1),
      maxDelayMs: wholeNumber('batching.maxDelayMs', batching.maxDelayMs ?? defaults.batching.maxDelayMs, 0, 600_000),
      keyed: oneOf('batching.keyed', batching.keyed ?? defaults.batching.keyed, ['by-key', 'mixed', 'single']),
    },
    compression: known('compression', options.compression ?? 'none', COMPRESSION),
    maxPendingMessages: wholeNumber('maxPendingMessages', options.maxPendingMessages ?? defaults.maxPendingMessages, 1),
    maxPendingBytes: wholeNumber('maxPendingBytes', options.maxPendingBytes ?? defaults.maxPendingBytes, 1),
    sendTimeoutMs: wholeNumber('sendTimeoutMs', options.sendTimeoutMs ?? defaults.sendTimeoutMs, 0, 0x7fff_ffff),
    accessMode: known('accessMode', options.accessMode ?? 'shared', ACCESS_MODE),
    schema: options.schema && schemaData(options.schema),
    properties: options.properties,
  };
}

/** @throws {@link InvalidWireOptionError} unless `value` is a name in `table`. */
export function known<N extends string>(option: string, value: N, table: Readonly<Record<N, unknown>>): N {
  if (!Object.hasOwn(table, value)) {
    throw new InvalidWireOptionError(option, `is no ${Object.keys(table).join(', ')}`);
  }
  return value;
}

function oneOf<N extends string>(option: string, value: N, names: readonly N[]): N {
  if (!names.includes(value)) {
    throw new InvalidWireOptionError(option, `is no ${names.join(', ')}`);
  }
  return value;
}
