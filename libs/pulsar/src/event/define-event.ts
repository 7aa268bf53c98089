import { ConfigurationError, type StandardSchemaV1 } from '@smartpulse/resilience';
import { jsonCodec, type PulsarCodec } from '../codec/pulsar-codec.js';

/** What {@link defineEvent} takes. */
export interface EventDefinition<T> {
  /** Names the event in logs: `forecast-computed`. */
  readonly name: string;
  /** Short (`forecast-computed`) or full (`persistent://tenant/namespace/forecast-computed`). */
  readonly topic: string;
  /** Any Standard Schema (zod, valibot, arktype); consumers check every payload with it. */
  readonly schema: StandardSchemaV1<unknown, T>;
  /** The message key of an event: what keeps the order. Without it messages have no key. */
  readonly key?: ((event: T) => string) | undefined;
  /** Version of the schema. Default 1. */
  readonly version?: number | undefined;
  /** Default: JSON. */
  readonly codec?: PulsarCodec<T> | undefined;
}

/** A typed contract between those who publish an event and those who handle it. */
export interface EventContract<T> extends EventDefinition<T> {
  readonly kind: 'event';
  readonly version: number;
  readonly codec: PulsarCodec<T>;
}

/**
 * Declares an event once, for its publishers and its handlers.
 *
 * @throws ConfigurationError when name or topic is empty or the version is no whole number above 0.
 * @example
 * ```ts
 * export const forecastComputed = defineEvent({
 *   name: 'forecast-computed',
 *   topic: 'forecast-computed',
 *   schema: z.object({ unit: z.string(), megawatt: z.number() }),
 *   key: (event) => event.unit,
 * });
 * await publisher.publish(forecastComputed, { unit: 'U-17', megawatt: 12.5 });
 * ```
 */
export function defineEvent<T>(definition: EventDefinition<T>): EventContract<T> {
  const version = definition.version ?? 1;
  const issues = [
    ...(definition.name === '' ? [{ option: 'name', problem: 'is empty, expected a name' }] : []),
    ...(definition.topic === '' ? [{ option: 'topic', problem: 'is empty, expected a topic name' }] : []),
    ...(Number.isInteger(version) && version > 0
      ? []
      : [{ option: 'version', problem: 'expected a whole number from 1' }]),
  ];
  if (issues.length > 0) {
    throw new ConfigurationError('defineEvent', issues);
  }
  return Object.freeze({
    ...definition,
    kind: 'event' as const,
    version,
    codec: definition.codec ?? jsonCodec<T>(),
  });
}

/**
 * The topic name in a topic or contract.
 *
 * @throws ConfigurationError when it is neither, as in modules that import each other, where a contract may not be there yet.
 */
export function topicOf<T>(topic: string | EventContract<T>): string {
  const given: unknown = topic;
  if (typeof given === 'string') {
    return given;
  }
  if (typeof given === 'object' && given !== null && 'topic' in given && typeof given.topic === 'string') {
    return given.topic;
  }
  throw new ConfigurationError(
    'topic',
    [{ option: '', problem: `expected a topic name or what defineEvent answers, found ${typeof given}` }],
    'Give one of them; where files import each other, the contract may not be there yet: put it into a file of its own.',
  );
}
