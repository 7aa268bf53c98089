import { InvalidPayloadError, pathOf } from '../pulsar.errors.js';
import type { IncomingMessage, OutgoingMessage } from '../transport/pulsar.transport.js';
import { FIRST_FAILED, FIRST_PUBLISHED, type MessageOrigin, originProperties } from './retry/retry-letter.js';

/** Why a message became a dead letter. */
export type DeadLetterReason = 'failed' | 'invalid' | 'nacked' | 'requested';

/** What stands in a dead letter's headers. */
export interface DeadLetterFacts {
  readonly reason: DeadLetterReason;
  readonly error: Error;
  readonly attempts: number;
  /** Wall time of the first run that failed; `undefined`: there was none. */
  readonly firstFailureMs: number | undefined;
  readonly subscription: string;
  /** The first message, also of one that came over a retry topic. */
  readonly origin: MessageOrigin;
  readonly handler: string;
  readonly includeStack: boolean;
  readonly nowMs: number;
}

const MAX_MESSAGE_LENGTH = 1_024;
const MAX_ISSUES_LENGTH = 4_096;
const MAX_STACK_LENGTH = 8_192;

/**
 * The dead letter of a message: its payload, keys, properties and event time as they were, and headers that say what happened. The
 * upper-case ones are those of Pulsar's own clients.
 */
export function deadLetterMessage(message: IncomingMessage, facts: DeadLetterFacts): OutgoingMessage {
  const { error } = facts;
  return {
    payload: message.payload,
    ...(message.tombstone ? { tombstone: true } : {}),
    ...(message.key === undefined ? {} : { key: message.key }),
    ...(message.orderingKey === undefined ? {} : { orderingKey: message.orderingKey }),
    ...(message.eventTimeMs === undefined ? {} : { eventTimeMs: message.eventTimeMs }),
    properties: {
      ...message.properties,
      ...originProperties(facts.origin, facts.subscription),
      'x-original-topic': facts.origin.topic,
      'x-original-subscription': facts.subscription,
      'x-original-message-id': facts.origin.messageId,
      [FIRST_PUBLISHED]: firstPublished(message, facts.origin),
      [FIRST_FAILED]: new Date(facts.firstFailureMs ?? facts.nowMs).toISOString(),
      'x-dead-lettered-at': new Date(facts.nowMs).toISOString(),
      'x-reason': facts.reason,
      'x-attempts': String(facts.attempts),
      'x-redelivery-count': String(message.redeliveryCount),
      'x-handler': facts.handler,
      'x-exception-type': error.name,
      'x-exception-message': error.message.slice(0, MAX_MESSAGE_LENGTH),
      ...(InvalidPayloadError.is(error) && error.issues.length > 0 ? { 'x-validation-issues': issuesText(error) } : {}),
      ...(facts.includeStack && error.stack !== undefined
        ? { 'x-exception-stack': error.stack.slice(0, MAX_STACK_LENGTH) }
        : {}),
    },
  };
}

function issuesText({ issues }: InvalidPayloadError): string {
  const plain = issues.map((issue) => ({ path: pathOf(issue), message: issue.message }));
  // Whole issues only, so that the text stays JSON.
  while (plain.length > 1 && JSON.stringify(plain).length > MAX_ISSUES_LENGTH) {
    plain.pop();
  }
  return JSON.stringify(plain).slice(0, MAX_ISSUES_LENGTH);
}

/** A message that is not the first one brings the time along; on the first it would be somebody else's header. */
function firstPublished(message: IncomingMessage, origin: MessageOrigin): string {
  const brought = origin.messageId === message.id.toString() ? undefined : message.properties[FIRST_PUBLISHED];
  return brought ?? new Date(message.publishTimeMs).toISOString();
}
