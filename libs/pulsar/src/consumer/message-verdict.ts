import { backoffDelayMs, type Random } from '@smartpulse/resilience';
import { asError, PulsarError } from '../pulsar.errors.js';
import type { RunResult } from './message-invoker.js';
import type { MessageSettler, SettleLater, SettlementCounts, TakenMessage } from './message-settler.js';
import type { ResolvedConsumerOptions } from './resolve-consumer-options.js';
import { type HandlerAnswer, isSettlement } from './settlement.js';
import type { SubscriptionLinks } from './subscription-links.js';

/** What a {@link MessageVerdict} is made of. */
export interface MessageVerdictOptions {
  readonly consumer: ResolvedConsumerOptions;
  readonly settler: MessageSettler;
  readonly links: SubscriptionLinks;
  readonly counts: SettlementCounts;
  readonly random: Random;
}

/** Decides what comes of a message by how its handler run ended: done, once more, given back, or given up. */
export class MessageVerdict {
  readonly #options: MessageVerdictOptions;

  constructor(options: MessageVerdictOptions) {
    this.#options = options;
  }

  /**
   * Goes on with a message that needs no run of the handler: its consumer is gone, or it is handled or given up and only its settlement is
   * missing. `undefined`: it needs one.
   */
  withoutRun(taken: TakenMessage): { readonly answer: Promise<SettleLater | void> | void } | undefined {
    const { consumer, settler } = this.#options;
    if (taken.from.lost) {
      return { answer: settler.abandon(taken) };
    }
    if (taken.handled) {
      return { answer: settler.ack(taken) };
    }
    const isSpent = taken.deadLetterStored || taken.attempts >= consumer.maxAttempts;
    return isSpent && taken.lastError !== undefined
      ? { answer: settler.deadLetter(taken, 'failed', taken.lastError) }
      : undefined;
  }

  /** Answers how long to wait before the message is handled again, or nothing when it is settled. */
  conclude(taken: TakenMessage, result: RunResult): Promise<SettleLater | void> | SettleLater | void {
    const { consumer, counts, links, random, settler } = this.#options;
    if (result.status === 'fulfilled') {
      return this.#settle(taken, isSettlement(result.value) ? result.value : undefined);
    }
    if (result.status === 'invalid') {
      return settler.deadLetter(taken, 'invalid', result.error);
    }
    const error = asError(result.error);
    counts.failed++;
    settler.failed(taken);
    taken.lastError = error;
    if (taken.attempts >= consumer.maxAttempts) {
      return settler.deadLetter(taken, 'failed', error);
    }
    if (!links.open) {
      return settler.abandon(taken);
    }
    return settler.retry(taken, backoffDelayMs(consumer.backoff, taken.attempts, random));
  }

  #settle(
    taken: TakenMessage,
    settlement: HandlerAnswer | undefined,
  ): Promise<SettleLater | void> | SettleLater | void {
    const { consumer, counts, settler } = this.#options;
    switch (settlement?.settlement) {
      case 'nack':
        settler.failed(taken);
        if (taken.attempts >= consumer.maxAttempts) {
          return settler.deadLetter(taken, 'nacked', refusal(taken, 'The handler gave the message back too often.'));
        }
        return consumer.retryTopic === undefined
          ? settler.nack(taken, settlement.delayMs)
          : settler.retry(taken, settlement.delayMs);
      case 'deadLetter':
        settler.failed(taken);
        return settler.deadLetter(taken, 'requested', refusal(taken, settlement.reason));
      case 'later':
        return settler.nack(taken, settlement.delayMs);
      case 'duplicate':
        counts.duplicates++;
        return settler.ack(taken);
      case 'ack':
      case undefined:
        return settler.ack(taken);
    }
  }
}

function refusal(taken: TakenMessage, reason: string): PulsarError {
  return new PulsarError('SMARTPULSE_PULSAR_REFUSED', reason, {
    kind: 'permanent',
    remedy: 'See the dead letter.',
    topic: taken.message.topic,
  });
}
