import type { IncomingMessage, OutgoingMessage } from '../../transport/pulsar.transport.js';

/** The names that Pulsar's own clients give to the properties of retries and dead letters; values are text. Seen on messages of the Java client 4.2.4. */
export const RETRY_PROPERTIES = Object.freeze({
  reconsumeTimes: 'RECONSUMETIMES',
  delayTime: 'DELAY_TIME',
  realTopic: 'REAL_TOPIC',
  realSubscription: 'REAL_SUBSCRIPTION',
  originMessageId: 'ORIGIN_MESSAGE_ID',
  /** Misspelt for ever; readers look for either. */
  originMessageIdyTime: 'ORIGIN_MESSAGE_IDY_TIME',
});

/** When the first message was published, ISO 8601; of a message that another client put off it is when that one did. */
export const FIRST_PUBLISHED = 'x-original-publish-time';

/** When its first handler run failed, ISO 8601. */
export const FIRST_FAILED = 'x-first-failure-at';

/** The first message that a retry goes back to. */
export interface MessageOrigin {
  readonly topic: string;
  readonly messageId: string;
}

/** What a message on a retry topic tells of itself: our clients and Pulsar's own write the same. */
export interface RetryFacts {
  /** Handler runs before this delivery. */
  readonly attempts: number;
  /** Wall time of the first one that failed; `undefined`: another client wrote the letter, and does not say. */
  readonly firstFailureMs: number | undefined;
  readonly origin: MessageOrigin;
}

const MAX_ATTEMPTS = 1_000_000;

/** Reads a message from a retry topic. One without the properties was put there by somebody else, and begins anew. */
export function retryFacts(message: IncomingMessage): RetryFacts {
  const { properties } = message;
  const times = Number(properties[RETRY_PROPERTIES.reconsumeTimes]);
  const firstFailureMs = Date.parse(properties[FIRST_FAILED] ?? '');
  return {
    attempts: Number.isInteger(times) && times > 0 ? Math.min(times, MAX_ATTEMPTS) : 0,
    firstFailureMs: Number.isNaN(firstFailureMs) ? undefined : firstFailureMs,
    origin: {
      topic: properties[RETRY_PROPERTIES.realTopic] ?? message.topic,
      messageId:
        properties[RETRY_PROPERTIES.originMessageId] ??
        properties[RETRY_PROPERTIES.originMessageIdyTime] ??
        message.id.toString(),
    },
  };
}

/** The properties that say which message it was first. */
export function originProperties(origin: MessageOrigin, subscription: string): Readonly<Record<string, string>> {
  return {
    [RETRY_PROPERTIES.realTopic]: origin.topic,
    [RETRY_PROPERTIES.realSubscription]: subscription,
    [RETRY_PROPERTIES.originMessageId]: origin.messageId,
    [RETRY_PROPERTIES.originMessageIdyTime]: origin.messageId,
  };
}

/** The message for the retry topic: payload, keys, properties and event time as they were, and what the next delivery has to know. */
export function retryLetter(
  message: IncomingMessage,
  facts: RetryFacts & { readonly subscription: string; readonly delayMs: number; readonly nowMs: number },
): OutgoingMessage {
  const delayMs = Math.round(facts.delayMs);
  return {
    payload: message.payload,
    ...(message.tombstone ? { tombstone: true } : {}),
    ...(message.key === undefined ? {} : { key: message.key }),
    ...(message.orderingKey === undefined ? {} : { orderingKey: message.orderingKey }),
    ...(message.eventTimeMs === undefined ? {} : { eventTimeMs: message.eventTimeMs }),
    deliverAtMs: facts.nowMs + delayMs,
    properties: {
      [FIRST_PUBLISHED]: new Date(message.publishTimeMs).toISOString(),
      ...message.properties,
      ...originProperties(facts.origin, facts.subscription),
      [RETRY_PROPERTIES.reconsumeTimes]: String(facts.attempts),
      [RETRY_PROPERTIES.delayTime]: String(delayMs),
      ...(facts.firstFailureMs === undefined ? {} : { [FIRST_FAILED]: new Date(facts.firstFailureMs).toISOString() }),
    },
  };
}
