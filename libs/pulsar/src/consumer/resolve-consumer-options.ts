import { checkOptions, ConfigurationError, type ConfigurationIssue } from '@smartpulse/resilience';
import { z } from 'zod';
import { DEAD_LETTER_SUBSCRIPTION } from '../dead-letters/letter-keeper.js';
import type { PulsarConnection } from '../connection/pulsar.connection.js';
import { topicOf } from '../event/define-event.js';
import {
  backoffSchema,
  concurrencySchema,
  type ConsumerDefaults,
  initialPositionSchema,
  maxHeldBackSchema,
  maxAttemptsSchema,
  prefetchBytesSchema,
  prefetchSchema,
  type ProducerDefaults,
  type StartupOptions,
  startupSchema,
  subscriptionTypeSchema,
  timeoutSchema,
} from '../pulsar.options.js';
import type { IncomingMessage, InitialPosition, SubscriptionType } from '../transport/pulsar.transport.js';
import { given } from '../transport/resolve-options.js';
import { resolveTopicName, subscriptionProblem } from '../transport/topic-name.js';
import {
  BATCH_HANDLER_DEFAULTS,
  type BatchConsumerOptions,
  type BatchDefaults,
  batchSchema,
  MAX_BATCHED_MESSAGES,
} from './batch/batch-options.js';
import { deliveryIssue, resolveDelivery } from './delivery.js';
import type { ConsumerOptions } from './consumer-options.js';
import { dedupeSchema } from '../dedupe/dedupe-options.js';
import { DedupeUnavailableError } from '../pulsar.errors.js';
import { retrySchema, retryTopicOf } from './retry/retry-options.js';
import { PAUSE_ON_DEFAULTS, type PauseOnDefaults, pauseOnSchema } from './pause-on.js';

/** So many messages are held back for each place of the window where nothing else is said: a key that is slow for a while, not one that always is. */
const HELD_BACK_FACTOR = 8;
/** And no more than this: they lie in memory. */
const MAX_HELD_BACK = 1_000;

const text = z.string({ error: 'expected a text' });
const callback = z
  .custom<(...parameters: never[]) => unknown>((value) => typeof value === 'function', {
    error: 'expected a function',
  })
  .optional();

const consumerOptionsSchema = z.strictObject({
  topic: z.custom<ConsumerOptions<unknown>['topic']>(isTopic, {
    error: 'expected a topic name or what defineEvent answers',
  }),
  subscription: text,
  delivery: z.enum(['work-sharing', 'every-replica'], { error: 'expected work-sharing or every-replica' }).optional(),
  autoStart: z.boolean({ error: 'expected true or false' }).optional(),
  startup: startupSchema.optional(),
  id: text.min(1, { error: 'expected a text that is not empty' }).optional(),
  type: subscriptionTypeSchema.optional(),
  initialPosition: initialPositionSchema.optional(),
  durable: z.boolean({ error: 'expected true or false' }).optional(),
  concurrency: concurrencySchema.optional(),
  prefetch: prefetchSchema.optional(),
  prefetchBytes: prefetchBytesSchema.optional(),
  maxHeldBack: maxHeldBackSchema.optional(),
  codec: z
    .custom<NonNullable<ConsumerOptions<unknown>['codec']>>(isCodec, { error: 'expected a PulsarCodec' })
    .optional(),
  maxAttempts: maxAttemptsSchema.optional(),
  backoff: backoffSchema.optional(),
  ack: z.enum(['auto', 'manual'], { error: 'expected auto or manual' }).optional(),
  dedupe: dedupeSchema.optional(),
  retry: retrySchema.optional(),
  timeoutMs: timeoutSchema.optional(),
  deadLetter: z
    .union(
      [
        z.literal(false),
        z.strictObject({
          topic: text.optional(),
          includeStack: z.boolean().optional(),
          initialSubscription: z.union([z.literal(false), text]).optional(),
        }),
      ],
      {
        error: 'expected false or { topic?, includeStack?, initialSubscription? }',
      },
    )
    .optional(),
  isOutage: callback,
  pauseOn: pauseOnSchema.optional(),
  batch: batchSchema.optional(),
  probe: callback,
  onDeadLetter: callback,
});

/** A consumer's options after validation, defaults filled in. */
export interface ResolvedConsumerOptions {
  readonly topic: string;
  readonly subscription: string;
  /** The subscription's name as it was given: without this instance's id. */
  readonly sharedName: string;
  /** The subscription is this instance's alone, and would outlive it. */
  readonly deleteOnClose: boolean;
  readonly autoStart: boolean;
  readonly startup: StartupOptions;
  readonly id: string | undefined;
  readonly type: SubscriptionType;
  readonly initialPosition: InitialPosition;
  readonly durable: boolean;
  readonly concurrency: number;
  readonly prefetch: number;
  readonly prefetchBytes: number | undefined;
  readonly maxHeldBack: number;
  readonly maxAttempts: number;
  readonly backoff: ConsumerDefaults['backoff'];
  readonly retryTopic: string | undefined;
  readonly timeoutMs: number;
  readonly abortGraceMs: number;
  readonly drainTimeoutMs: number;
  readonly deadLetter:
    | { readonly topic: string; readonly includeStack: boolean; readonly initialSubscription: string | undefined }
    | undefined;
  readonly batch: BatchDefaults | undefined;
  readonly pauseOn: PauseOnDefaults | undefined;
  readonly isOutage: ((error: unknown) => boolean) | undefined;
  readonly probe: ((signal: AbortSignal) => Promise<void>) | undefined;
  readonly onDeadLetter: ((message: IncomingMessage, error: Error) => Promise<void>) | undefined;
}

/**
 * Checks a consumer's options against the schema and the transport.
 *
 * @param owner names the handler in the error: `@PulsarSubscribe on Mailer.mail`.
 * @throws ConfigurationError that lists everything that is wrong.
 */
export function resolveConsumerOptions<T>(
  owner: string,
  options: ConsumerOptions<T> | BatchConsumerOptions<T>,
  defaults: ConsumerDefaults,
  connection: PulsarConnection,
  app: { readonly instanceId: string; readonly startup: StartupOptions; readonly producer: ProducerDefaults },
): ResolvedConsumerOptions {
  checkOptions(owner, consumerOptionsSchema, options);
  const type = options.type ?? defaults.type;
  const concurrency = options.concurrency ?? (isOrdered(type) ? 1 : defaults.concurrency);
  const batch = options.batch === undefined ? undefined : { ...BATCH_HANDLER_DEFAULTS, ...given(options.batch) };
  const atOnce = concurrency * (batch?.maxMessages ?? 1);
  const prefetch = options.prefetch ?? atOnce;
  const topic = resolveTopicName(topicOf(options.topic), connection.namespace);
  const delivery = resolveDelivery(
    options,
    { initialPosition: defaults.initialPosition, instanceId: app.instanceId },
    connection.transport,
  );
  const deadLetter = deadLetterOf(options, topic.topic, connection.namespace);
  const retry = retryTopicOf(
    options.retry,
    { topic: topic.topic ?? '', subscription: options.subscription, type },
    deadLetter.target?.topic,
    connection,
  );
  const issues = [
    issue(
      'ack',
      options.ack === 'manual' && options.batch !== undefined
        ? 'manual is for handlers of one message; a batch names what failed by BatchItemsFailed'
        : undefined,
    ),
    issue(
      'dedupe',
      options.dedupe !== undefined && options.batch !== undefined
        ? 'is for handlers of one message; a batch handler asks a DedupeStore itself'
        : undefined,
    ),
    issue('retry.topic', topic.topic === undefined ? undefined : retry.problem),
    issue('topic', topic.problem),
    issue('subscription', subscriptionProblem(options.subscription)),
    issue('deadLetter.topic', deadLetter.problem),
    deliveryIssue(options),
    issue(
      'batch.maxMessages',
      batch !== undefined && atOnce > MAX_BATCHED_MESSAGES
        ? `${concurrency} batches of ${batch.maxMessages} messages at a time; expected at most ${MAX_BATCHED_MESSAGES} messages`
        : undefined,
    ),
    issue(
      'type',
      type === 'Key_Shared' && topic.topic !== undefined ? mixedKeys(topic.topic, app.producer) : undefined,
    ),
    ...capabilityIssues(options, type, concurrency, connection),
  ].filter((found) => found !== undefined);
  if (issues.length > 0 || topic.topic === undefined) {
    throw new ConfigurationError(owner, issues, 'Correct the options of this handler and start again.');
  }
  return {
    topic: topic.topic,
    ...delivery,
    sharedName: options.subscription,
    autoStart: options.autoStart ?? true,
    startup: { ...app.startup, ...given(options.startup) },
    id: options.id,
    type,
    concurrency,
    prefetch,
    prefetchBytes: options.prefetchBytes,
    maxHeldBack: isOrdered(type)
      ? 0
      : (options.maxHeldBack ?? Math.min(MAX_HELD_BACK, HELD_BACK_FACTOR * (atOnce + prefetch))),
    maxAttempts: options.maxAttempts ?? defaults.maxAttempts,
    backoff: { ...defaults.backoff, ...given(options.backoff) },
    retryTopic: retry.topic,
    timeoutMs: options.timeoutMs ?? defaults.timeoutMs,
    abortGraceMs: defaults.abortGraceMs,
    drainTimeoutMs: defaults.drainTimeoutMs,
    deadLetter: deadLetter.target,
    batch,
    pauseOn: options.pauseOn && { ...PAUSE_ON_DEFAULTS, ...given(options.pauseOn) },
    isOutage: options.dedupe === undefined ? options.isOutage : orDedupeUnavailable(options.isOutage),
    probe: options.probe,
    onDeadLetter: options.onDeadLetter,
  };
}

/** Exclusive and Failover are chosen for the order of the whole topic. */
export function isOrdered(type: SubscriptionType): boolean {
  return type === 'Exclusive' || type === 'Failover';
}

/** What this app publishes to the topic cannot be spread by its keys. */
function mixedKeys(topic: string, producer: ProducerDefaults): string | undefined {
  const { batching, batchKeyed } = { ...producer, ...given(producer.topics?.[topic]) };
  return batching && batchKeyed === 'mixed'
    ? `Key_Shared cannot spread batches of mixed keys, which the producer options ask for; expected batchKeyed: 'by-key' or batching: false for ${topic}, or another type`
    : undefined;
}

function capabilityIssues<T>(
  options: ConsumerOptions<T> | BatchConsumerOptions<T>,
  type: SubscriptionType,
  concurrency: number,
  { transport }: PulsarConnection,
): (ConfigurationIssue | undefined)[] {
  const { subscriptionTypes, nonDurable } = transport.capabilities;
  return [
    issue(
      'concurrency',
      isOrdered(type) && concurrency > 1
        ? `${concurrency} handlers at a time would break the order of a subscription of type ${type}; expected 1, or type Shared or Key_Shared`
        : undefined,
    ),
    issue(
      'type',
      subscriptionTypes.includes(type) ? undefined : `${type} is not offered by the ${transport.name} transport`,
    ),
    issue(
      'durable',
      options.durable === false && !nonDurable ? `false is not offered by the ${transport.name} transport` : undefined,
    ),
    issue(
      'maxHeldBack',
      isOrdered(type) && (options.maxHeldBack ?? 0) > 0
        ? `nothing passes by on a subscription of type ${type}, whose order is that of the whole topic; expected 0, or type Shared or Key_Shared`
        : undefined,
    ),
    issue('probe', options.probe !== undefined && options.isOutage === undefined ? 'needs isOutage' : undefined),
  ];
}

function deadLetterOf<T>(
  { deadLetter, subscription }: ConsumerOptions<T> | BatchConsumerOptions<T>,
  topic: string | undefined,
  namespace: string,
): { readonly target: ResolvedConsumerOptions['deadLetter']; readonly problem: string | undefined } {
  if (deadLetter === false || topic === undefined) {
    return { target: undefined, problem: undefined };
  }
  const name = resolveTopicName(deadLetter?.topic ?? `${topic}-${subscription}-DLQ`, namespace);
  if (name.problem !== undefined) {
    return { target: undefined, problem: name.problem };
  }
  if (name.topic === topic) {
    return { target: undefined, problem: 'is the topic itself, expected another one' };
  }
  const { includeStack = false, initialSubscription = DEAD_LETTER_SUBSCRIPTION } = deadLetter ?? {};
  if (initialSubscription === false) {
    return { target: { topic: name.topic, includeStack, initialSubscription: undefined }, problem: undefined };
  }
  const problem = subscriptionProblem(initialSubscription);
  return problem === undefined
    ? { target: { topic: name.topic, includeStack, initialSubscription }, problem }
    : { target: undefined, problem: `its initialSubscription: ${problem}` };
}

function issue(option: string, problem: string | undefined): ConfigurationIssue | undefined {
  return problem === undefined ? undefined : { option, problem };
}

function isTopic(value: unknown): boolean {
  return (
    typeof value === 'string' ||
    (typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'event' && 'topic' in value)
  );
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

/** A store that does not answer is infrastructure that is down: nothing is given up for it. */
function orDedupeUnavailable(isOutage: ((error: unknown) => boolean) | undefined): (error: unknown) => boolean {
  return (error) => DedupeUnavailableError.is(error) || (isOutage?.(error) ?? false);
}
