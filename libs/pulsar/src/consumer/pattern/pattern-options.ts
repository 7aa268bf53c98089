import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { z } from 'zod';
import type { EventContract } from '../../event/define-event.js';
import { namespaceProblem } from '../../transport/topic-name.js';
import type { InitialPosition } from '../../transport/pulsar.transport.js';
import type { BatchConsumerOptions, BatchHandler } from '../batch/batch-options.js';
import type { ConsumerOptions, MessageHandler } from '../consumer-options.js';
import type { Registration } from '../pulsar.consumers.js';

/** Which topics a handler serves, where their names are not known beforehand. */
export interface TopicsPattern<T> {
  /**
   * Every topic of the namespace whose own name it matches as a whole: `/orders-.+/` matches `orders-eu`, not `old-orders-eu`. Topics of dead letters and
   * retries are left out: those of all handlers of the app, and whatever ends in `-DLQ` or `-RETRY`.
   */
  readonly topicsPattern: RegExp;
  /** `tenant/namespace`. Default: the module's. */
  readonly namespace?: string | undefined;
  /** What lies in those topics; its own topic does not count. Default: no contract, whatever `codec` reads. */
  readonly event?: EventContract<T> | undefined;
  /** How often topics that have come or gone are looked for, milliseconds, 100 to 86,400,000. Default 60,000. */
  readonly discoveryIntervalMs?: number | undefined;
}

type OfPattern<TOptions, T> = TopicsPattern<T> & Omit<TOptions, 'topic'>;

/** Options of one consumer for each topic that a pattern matches; ids are `<id>:<topic>` where `id` is given. */
export type PatternConsumerOptions<T = unknown> =
  OfPattern<ConsumerOptions<T>, T> | OfPattern<BatchConsumerOptions<T>, T>;

/** What is registered on the topics of a pattern: a handler of one message, or one of many. */
export type PatternRegistration<T> =
  | readonly [options: OfPattern<ConsumerOptions<T>, T>, handler: MessageHandler<T>]
  | readonly [options: OfPattern<BatchConsumerOptions<T>, T>, handler: BatchHandler<T>];

/** A handler that serves the topics of a pattern. */
export interface PulsarPatternHandle {
  /** Full names of the topics that it serves now. */
  readonly topics: readonly string[];
  /**
   * Looks for topics that have come or gone, now.
   *
   * @throws PulsarError when they cannot be listed.
   */
  refresh(): Promise<void>;
  /** Closes the consumers of all its topics, as their handles do. Idempotent. */
  close(): Promise<void>;
}

/** A pattern after validation. */
export interface ResolvedPattern<T> {
  readonly namespace: string;
  readonly intervalMs: number;
  /** Takes a full topic name. */
  readonly matches: (topic: string) => boolean;
  /** What is registered on one topic. @param initialPosition instead of the handler's. */
  readonly on: (topic: string, initialPosition?: InitialPosition) => Registration<T>;
}

/** Defaults of {@link TopicsPattern}. */
export const PATTERN_DEFAULTS = Object.freeze({ discoveryIntervalMs: 60_000 });
/** Where a framework puts what was given up or waits for its next run. */
const ASIDE = /-(?:DLQ|RETRY)$/;

const patternSchema = z.object({
  topicsPattern: z.custom<RegExp>((value) => value instanceof RegExp && !/[gy]/.test(value.flags), {
    error: 'expected a regular expression without the flags g and y, such as /orders-.+/',
  }),
  namespace: z
    .string()
    .refine((value) => namespaceProblem(value) === undefined, { error: 'expected tenant/namespace' })
    .optional(),
  event: z.custom((value) => typeof value === 'object', { error: 'expected what defineEvent answers' }).optional(),
  discoveryIntervalMs: z
    .number({ error: 'expected milliseconds, 100 to 86,400,000' })
    .int('expected whole milliseconds')
    .min(100, 'expected milliseconds, 100 to 86,400,000')
    .max(86_400_000, 'expected milliseconds, 100 to 86,400,000')
    .optional(),
});

/** Whether options name a pattern. */
export function isPattern<T>(options: object): options is PatternConsumerOptions<T> {
  return 'topicsPattern' in options && options.topicsPattern !== undefined;
}

/**
 * Checks what is said of the topics; the rest is the consumers' own.
 *
 * @param owner names the handler in the error.
 * @throws ConfigurationError
 */
export function resolvePattern<T>(
  owner: string,
  registration: PatternRegistration<T>,
  defaultNamespace: string,
): ResolvedPattern<T> {
  const [options] = registration;
  checkOptions(owner, patternSchema, options);
  if ('topic' in options && options.topic !== undefined) {
    throw new ConfigurationError(owner, [
      { option: 'topicsPattern', problem: 'is beside topic; expected one of them' },
    ]);
  }
  const { topicsPattern, namespace = defaultNamespace, event, discoveryIntervalMs, id } = options;
  const whole = new RegExp(`^(?:${topicsPattern.source})$`, topicsPattern.flags);
  const prefix = `persistent://${namespace}/`;
  return {
    namespace,
    intervalMs: discoveryIntervalMs ?? PATTERN_DEFAULTS.discoveryIntervalMs,
    matches: (topic) => topic.startsWith(prefix) && !ASIDE.test(topic) && whole.test(topic.slice(prefix.length)),
    on: (topic, initialPosition = options.initialPosition) =>
      onTopic(registration, {
        topic: event === undefined ? topic : { ...event, topic },
        id: id === undefined ? undefined : `${id}:${topic.slice(prefix.length)}`,
        initialPosition,
      }),
  };
}

function onTopic<T>(
  registration: PatternRegistration<T>,
  own: Pick<ConsumerOptions<T>, 'topic' | 'id' | 'initialPosition'>,
): Registration<T> {
  if (isOfBatches(registration)) {
    const [{ topicsPattern: _p, namespace: _n, event: _e, discoveryIntervalMs: _d, ...options }, handler] =
      registration;
    return [{ ...options, ...own }, handler];
  }
  const [{ topicsPattern: _p, namespace: _n, event: _e, discoveryIntervalMs: _d, ...options }, handler] = registration;
  return [{ ...options, ...own }, handler];
}

function isOfBatches<T>(
  registration: PatternRegistration<T>,
): registration is readonly [OfPattern<BatchConsumerOptions<T>, T>, BatchHandler<T>] {
  return registration[0].batch !== undefined;
}
