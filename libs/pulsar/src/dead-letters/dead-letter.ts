import { type PulsarCodec, jsonCodec } from '../codec/pulsar-codec.js';
import { RETRY_PROPERTIES } from '../consumer/retry/retry-letter.js';
import type { IncomingMessage, OutgoingMessage } from '../transport/pulsar.transport.js';

/** What a replayed message carries: the dead letter that it was. */
export const REPLAYED_FROM = 'x-replayed-from';

/** The replay that a message was published by: one that dies again in the same is not taken once more. */
export const REPLAY_RUN = 'x-replay-run';

/** Headers that tell of the death; a message that lives again has none of them. */
const OF_DEATH: ReadonlySet<string> = new Set([
  ...Object.values(RETRY_PROPERTIES),
  'x-original-topic',
  'x-original-subscription',
  'x-original-message-id',
  'x-original-publish-time',
  'x-first-failure-at',
  'x-dead-lettered-at',
  'x-reason',
  'x-attempts',
  'x-redelivery-count',
  'x-handler',
  'x-exception-type',
  'x-exception-message',
  'x-exception-stack',
  'x-validation-issues',
]);

/** A dead letter as `PulsarDeadLetters` shows it. What another client dead-lettered has fewer headers: the rest is `undefined`. */
export interface DeadLetter {
  /** Of the letter itself. */
  readonly messageId: string;
  readonly key: string | undefined;
  readonly payload: Uint8Array;
  /** All of them, those of the death included. */
  readonly properties: Readonly<Record<string, string>>;
  /** The full name of the topic that the message was published to first. */
  readonly originalTopic: string | undefined;
  readonly originalMessageId: string | undefined;
  readonly subscription: string | undefined;
  /** `failed`, `invalid`, `nacked` or `requested`, where this library wrote it. */
  readonly reason: string | undefined;
  /** Handler runs in all. */
  readonly attempts: number | undefined;
  readonly handler: string | undefined;
  readonly exceptionType: string | undefined;
  readonly exceptionMessage: string | undefined;
  /** When its first handler run failed, ISO 8601, UTC. */
  readonly firstFailureAt: string | undefined;
  /** ISO 8601, UTC. */
  readonly deadLetteredAt: string | undefined;
  /** Why the schema refused it: JSON, `[{ path, message }]`. */
  readonly validationIssues: string | undefined;
  /**
   * The payload read by a codec; JSON when none is given.
   *
   * @throws what the codec throws.
   */
  decode<T = unknown>(codec?: PulsarCodec<T>): T;
}

/** Reads a message of a dead letter topic. */
export function readLetter(message: IncomingMessage): DeadLetter {
  const { properties, payload } = message;
  const attempts = Number(properties['x-attempts'] ?? properties[RETRY_PROPERTIES.reconsumeTimes] ?? Number.NaN);
  return {
    messageId: message.id.toString(),
    key: message.key,
    payload,
    properties,
    originalTopic: properties['x-original-topic'] ?? properties[RETRY_PROPERTIES.realTopic],
    originalMessageId: properties['x-original-message-id'] ?? properties[RETRY_PROPERTIES.originMessageId],
    subscription: properties['x-original-subscription'] ?? properties[RETRY_PROPERTIES.realSubscription],
    reason: properties['x-reason'],
    attempts: Number.isInteger(attempts) ? attempts : undefined,
    handler: properties['x-handler'],
    exceptionType: properties['x-exception-type'],
    exceptionMessage: properties['x-exception-message'],
    firstFailureAt: properties['x-first-failure-at'],
    deadLetteredAt: properties['x-dead-lettered-at'],
    validationIssues: properties['x-validation-issues'],
    decode: <T>(codec: PulsarCodec<T> = jsonCodec<T>()) => codec.decode(payload),
  };
}

/** The message as it was before it died, with a word of where it comes from. */
export function revived(message: IncomingMessage, deadLetterTopic: string, run: string): OutgoingMessage {
  const { eventTimeMs, id, key, orderingKey, payload, properties, tombstone } = message;
  return {
    payload,
    ...(tombstone ? { tombstone: true } : {}),
    ...(key === undefined ? {} : { key }),
    ...(orderingKey === undefined ? {} : { orderingKey }),
    ...(eventTimeMs === undefined ? {} : { eventTimeMs }),
    properties: {
      ...Object.fromEntries(Object.entries(properties).filter(([name]) => !OF_DEATH.has(name))),
      [REPLAYED_FROM]: `${deadLetterTopic} ${id.toString()}`,
      [REPLAY_RUN]: run,
    },
  };
}
