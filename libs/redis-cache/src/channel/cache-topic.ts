import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { z } from 'zod';
import { nameProblemOf } from '../namespace/cache-key.js';
import { type CacheCodec, jsonCacheCodec } from '../namespace/cache.codec.js';

/** The options of {@link defineTopic}. */
export interface CacheTopicOptions<T> {
  /** Unique among the topics of its owner. */
  readonly name: string;
  /** Whose topic it is: the `prefix` of an app. Name it where several apps share the topic. Default: the app's own. */
  readonly owner?: string | undefined;
  /** Largest encoded payload, bytes. Default 65 536. */
  readonly maxPayloadBytes?: number | undefined;
  /** Longest wait until the server has taken a message, milliseconds. Default 1 000. */
  readonly publishTimeoutMs?: number | undefined;
  /** How payloads become text. Default JSON. */
  readonly codec?: CacheCodec<T> | undefined;
}

/** The defaults of {@link defineTopic}. */
export const CACHE_TOPIC_DEFAULTS = Object.freeze({ maxPayloadBytes: 65_536, publishTimeoutMs: 1_000 } as const);

/** A topic with its defaults filled in: what {@link defineTopic} answers. */
export interface CacheTopic<T> {
  readonly name: string;
  readonly owner: string | undefined;
  readonly maxPayloadBytes: number;
  readonly publishTimeoutMs: number;
  readonly codec: CacheCodec<T>;
}

const bounded = (what: string, max: number, fallback: number): z.ZodDefault<z.ZodNumber> => {
  const message = `expected ${what} from 1 to ${max}`;
  return z.int(message).min(1, message).max(max, message).default(fallback);
};

const schema = z.strictObject({
  name: z.string("expected the topic's name, text"),
  owner: z.string('expected the prefix of an app, text').optional(),
  maxPayloadBytes: bounded('bytes', 64 * 1_048_576, CACHE_TOPIC_DEFAULTS.maxPayloadBytes),
  publishTimeoutMs: bounded('whole milliseconds', 3_600_000, CACHE_TOPIC_DEFAULTS.publishTimeoutMs),
  codec: z.custom<CacheCodec<never>>(isCodec, 'expected an object with the functions encode and decode').optional(),
});

/**
 * Declares a topic of {@link CacheChannel}: one kind of payload under one name. Apps that talk to one another import the same declaration.
 *
 * @throws ConfigurationError when an option is unknown or out of range, or a name cannot be part of a channel's.
 * @example
 * ```ts
 * export const priceSignals = defineTopic<{ eurPerMWh: string }>({ owner: 'shop', name: 'price-signals' });
 * ```
 */
export function defineTopic<T>(options: CacheTopicOptions<T>): CacheTopic<T> {
  const checked = checkOptions('defineTopic', schema, options);
  for (const option of ['name', 'owner'] as const) {
    const problem = checked[option] === undefined ? undefined : nameProblemOf(checked[option]);
    if (problem !== undefined) {
      throw new ConfigurationError('defineTopic', [{ option, problem }]);
    }
  }
  return Object.freeze({ ...checked, owner: checked.owner, codec: options.codec ?? jsonCacheCodec<T>() });
}

function isCodec(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    'encode' in value &&
    typeof value.encode === 'function' &&
    'decode' in value &&
    typeof value.decode === 'function'
  );
}
