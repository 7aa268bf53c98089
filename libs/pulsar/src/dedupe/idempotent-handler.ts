import type { MessageHandler } from '../consumer/consumer-options.js';
import type { MessageFacts, PulsarContext } from '../consumer/pulsar-context.js';
import { RETRY_PROPERTIES } from '../consumer/retry/retry-letter.js';
import { DUPLICATE, type HandlerAnswer, isSettlement, later } from '../consumer/settlement.js';
import { DedupeUnavailableError } from '../pulsar.errors.js';
import { IDEMPOTENCY_KEY_PROPERTY } from '../producer/publish-options.js';
import { DEDUPE_DEFAULTS, type DedupeOptions } from './dedupe-options.js';

/** Where a handler stands. */
export interface IdempotentConsumer {
  /** Two subscriptions handle a message once each. */
  readonly subscription: string;
  /** How long a claim lives: longer than a handler run can take, milliseconds. */
  readonly claimMs: number;
}

/** A run that is over. */
interface Handled {
  readonly token: string;
  readonly answer: HandlerAnswer | void;
  readonly messageId: string;
}

/** How soon a message comes again that another one is handling, milliseconds, at most. */
const MOST_WAIT_MS = 5_000;
/** Messages that came back to another process stay untold here. */
const MOST_UNTOLD = 10_000;

/**
 * Runs a handler once per message: claimed before it, completed after it and before the acknowledgement. A handler that fails releases its claim; one that dies
 * lets it expire. What it wrote elsewhere before it died is written again, unless that is in the same transaction as the store.
 */
export function idempotentHandler<T>(
  handler: MessageHandler<T>,
  { store, key = defaultKey, ttlMs = DEDUPE_DEFAULTS.ttlMs }: DedupeOptions,
  { subscription, claimMs }: IdempotentConsumer,
): (payload: T, context: PulsarContext) => Promise<HandlerAnswer | void> {
  /** Handled here, and the store could not be told: it is told when the message comes again, without another run. Of very many the oldest are forgotten. */
  const untold = new Map<string, Handled>();
  const complete = async (name: string, handled: Handled): Promise<HandlerAnswer | void> => {
    untold.set(name, handled);
    for (const oldest of untold.keys()) {
      if (untold.size <= MOST_UNTOLD) {
        break;
      }
      untold.delete(oldest);
    }
    // A claim that was lost was another's to complete: the work is done all the same.
    await available(() => store.complete(name, handled.token, ttlMs));
    untold.delete(name);
    return handled.answer;
  };
  return async (payload, context) => {
    const name = `${subscription}\n${key(context)}`;
    const handled = untold.get(name);
    if (handled !== undefined) {
      const answer = await complete(name, handled);
      return handled.messageId === context.messageId ? answer : DUPLICATE;
    }
    const claim = await available(() => store.claim(name, claimMs));
    if (claim.state === 'done') {
      return DUPLICATE;
    }
    if (claim.state === 'inProgress') {
      return later(Math.min(claim.remainingMs, MOST_WAIT_MS));
    }
    let answer: HandlerAnswer | void;
    try {
      answer = await handler(payload, context);
    } catch (error) {
      await available(() => store.release(name, claim.token));
      throw error;
    }
    if (isSettlement(answer) && (answer.settlement === 'nack' || answer.settlement === 'deadLetter')) {
      // Not done yet: a dead letter that cannot be stored brings the message again, and it must not count as handled then.
      await available(() => store.release(name, claim.token));
      return answer;
    }
    return complete(name, { token: claim.token, answer, messageId: context.messageId });
  };
}

function defaultKey({ messageId, properties }: MessageFacts): string {
  return properties[IDEMPOTENCY_KEY_PROPERTY] ?? properties[RETRY_PROPERTIES.originMessageId] ?? messageId;
}

async function available<R>(ask: () => Promise<R>): Promise<R> {
  try {
    return await ask();
  } catch (cause) {
    throw new DedupeUnavailableError(cause);
  }
}
