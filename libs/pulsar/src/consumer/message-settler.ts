import type { Logger } from '@nestjs/common';
import { backoffDelayMs, type Clock, type Random } from '@smartpulse/resilience';
import type { LetterKeeper } from '../dead-letters/letter-keeper.js';
import type { PulsarPublisher } from '../producer/pulsar.publisher.js';
import type { PulsarTelemetry } from '../pulsar.telemetry.js';
import type { ConsumerSeries } from '../telemetry/series.js';
import type { IncomingMessage } from '../transport/pulsar.transport.js';
import { Acknowledgements } from './acknowledgements.js';
import { AttemptMemory } from './attempt-memory.js';
import { deadLetterMessage, type DeadLetterReason } from './dead-letter-message.js';
import type { ResolvedConsumerOptions } from './resolve-consumer-options.js';
import { type MessageOrigin, retryFacts, retryLetter } from './retry/retry-letter.js';
import type { LinkedConsumer } from './subscription-link.js';
import type { SubscriptionLinks } from './subscription-links.js';

/** A message that the runner took and has not settled. */
export interface TakenMessage {
  readonly message: IncomingMessage;
  readonly from: LinkedConsumer;
  /** The first message, where this one came over a retry topic. */
  readonly origin: MessageOrigin | undefined;
  /** Handler runs that failed. */
  attempts: number;
  /** Wall time of the first of them; `undefined`: none failed, or nobody told when. */
  firstFailureMs: number | undefined;
  lastError: Error | undefined;
  deadLetterStored: boolean;
  /** Handled, or stored as a dead letter: only the acknowledgement is missing. */
  handled: boolean;
  ackFailures: number;
}

/** Counts that grow. */
export interface SettlementCounts {
  received: number;
  acked: number;
  retried: number;
  nacked: number;
  deadLettered: number;
  failed: number;
  outages: number;
  trips: number;
  unsettled: number;
  duplicates: number;
  inFlight: number;
}

/** What a {@link MessageSettler} is made of. */
export interface MessageSettlerOptions {
  readonly id: string;
  readonly handler: string;
  readonly consumer: ResolvedConsumerOptions;
  readonly publisher: PulsarPublisher;
  /** Of the dead letter topic, where there is one. */
  readonly keeper: LetterKeeper | undefined;
  readonly links: SubscriptionLinks;
  readonly counts: SettlementCounts;
  readonly telemetry: PulsarTelemetry;
  readonly series: ConsumerSeries;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The wait before the queue gives the message again. */
export interface SettleLater {
  readonly retryAfterMs: number;
}

/** Settles messages: handled → acknowledged, dead letter stored → acknowledged, never the other way round. */
export class MessageSettler {
  readonly #options: MessageSettlerOptions;
  readonly #memory = new AttemptMemory();
  readonly #acknowledgements: Acknowledgements;

  constructor(options: MessageSettlerOptions) {
    const { clock, counts, links, series, telemetry } = options;
    this.#options = options;
    this.#acknowledgements = new Acknowledgements({
      links,
      counts,
      telemetry,
      series,
      clock,
      delayMs: (failures) => this.#delayMs(failures),
      onFailed: (sentence, error) => this.#warn(sentence, error),
      onReleased: (taken) => this.#release(taken),
    });
  }

  /** @param isRetry it came over the retry topic, and brings its count along. */
  take(message: IncomingMessage, from: LinkedConsumer, isRetry: boolean): TakenMessage {
    const retry = isRetry ? retryFacts(message) : undefined;
    this.#options.counts.received++;
    this.#options.counts.inFlight++;
    this.#options.series.consumed++;
    this.#options.series.receivedBytes += message.payload.byteLength;
    return {
      message,
      from,
      origin: retry?.origin,
      attempts: retry?.attempts ?? 0,
      firstFailureMs: retry?.firstFailureMs,
      lastError: undefined,
      deadLetterStored: false,
      handled: false,
      ackFailures: 0,
    };
  }

  /**
   * Gives a message what it brings along from an earlier delivery in this process. When its turn has come, not when it is taken: the copy that a
   * lost consumer left may be before it in its lane.
   */
  recall(taken: TakenMessage): void {
    if (this.#memory.isEmpty) {
      return;
    }
    const known = this.#memory.take(taken.message.id.toString());
    if (known !== undefined) {
      taken.attempts = known.attempts;
      taken.firstFailureMs = known.firstFailureMs;
      taken.lastError = known.error;
      taken.deadLetterStored = known.deadLetterStored;
    }
  }

  /** A handler run has failed. */
  failed(taken: TakenMessage): void {
    taken.attempts++;
    taken.firstFailureMs ??= this.#options.clock.now();
  }

  /** Acknowledges; while the broker cannot take it, the key's lane is held and it is tried again. */
  ack(taken: TakenMessage): Promise<SettleLater | void> {
    taken.handled = true;
    return this.#acknowledgements.ack(taken);
  }

  /** Gives the message back for later. */
  nack(taken: TakenMessage, delayMs: number): void {
    const { counts, series, telemetry } = this.#options;
    counts.nacked++;
    telemetry.refused(series, taken.message);
    taken.from.transport.nack(taken.message.id, delayMs);
    this.abandon(taken);
  }

  /** Does no more for a message that is neither acknowledged nor handled: the broker gives it to whoever is next. */
  abandon(taken: TakenMessage): void {
    if (taken.attempts > 0 || taken.deadLetterStored) {
      this.#memory.keep(taken.message.id.toString(), {
        attempts: taken.attempts,
        firstFailureMs: taken.firstFailureMs,
        error: taken.lastError,
        deadLetterStored: taken.deadLetterStored,
      });
    }
    this.#release(taken);
  }

  /**
   * Has a message handled again after a while: in its lane, which holds the key's later ones back, or by the retry topic, where it is stored before it is
   * acknowledged; one that cannot be stored there is given back.
   */
  retry(taken: TakenMessage, delayMs: number): Promise<SettleLater | void> | SettleLater {
    const { consumer, counts } = this.#options;
    counts.retried++;
    return consumer.retryTopic === undefined
      ? { retryAfterMs: delayMs }
      : this.#retryByTopic(taken, consumer.retryTopic, delayMs);
  }

  /** Stores the dead letter and acknowledges; what cannot be stored is given back. */
  async deadLetter(taken: TakenMessage, reason: DeadLetterReason, error: Error): Promise<SettleLater | void> {
    const { consumer, counts, series } = this.#options;
    taken.lastError = error;
    if (consumer.deadLetter === undefined && consumer.onDeadLetter === undefined) {
      taken.attempts = 0;
      this.nack(taken, consumer.backoff.maxMs);
      return;
    }
    try {
      await this.#store(taken, reason, error);
      await consumer.onDeadLetter?.(taken.message, error);
    } catch (failure) {
      this.#warn('A dead letter could not be settled, the message is given back', failure);
      this.nack(taken, this.#delayMs(taken.message.redeliveryCount + 1));
      return;
    }
    counts.deadLettered++;
    series.deadLettered++;
    return this.ack(taken);
  }

  #release(taken: TakenMessage): void {
    this.#options.counts.inFlight--;
    taken.from.link.settled(taken.message.payload.byteLength);
  }

  async #retryByTopic(taken: TakenMessage, topic: string, delayMs: number): Promise<SettleLater | void> {
    const { clock, consumer, publisher } = this.#options;
    const { attempts, firstFailureMs, message } = taken;
    try {
      await publisher.sendDirect(
        topic,
        retryLetter(message, {
          attempts,
          firstFailureMs,
          origin: originOf(taken),
          subscription: consumer.subscription,
          delayMs,
          nowMs: clock.now(),
        }),
      );
    } catch (failure) {
      this.#warn('A retry could not be stored, the message is given back', failure);
      this.nack(taken, delayMs);
      return;
    }
    return this.ack(taken);
  }

  async #store(taken: TakenMessage, reason: DeadLetterReason, error: Error): Promise<void> {
    const { consumer, publisher, handler, clock, logger, id } = this.#options;
    if (consumer.deadLetter === undefined || taken.deadLetterStored) {
      return;
    }
    const { topic, includeStack } = consumer.deadLetter;
    const letter = deadLetterMessage(taken.message, {
      reason,
      error,
      attempts: taken.attempts,
      firstFailureMs: taken.firstFailureMs,
      subscription: consumer.subscription,
      origin: originOf(taken),
      handler,
      includeStack,
      nowMs: clock.now(),
    });
    await this.#options.keeper?.keep();
    await publisher.sendDirect(topic, letter);
    taken.deadLetterStored = true;
    logger.warn(`${id}: a message became a dead letter (${reason}, ${error.name}) after ${taken.attempts} attempts.`);
  }

  #delayMs(attempt: number): number {
    return backoffDelayMs(this.#options.consumer.backoff, attempt, this.#options.random);
  }

  #warn(sentence: string, error: unknown): void {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#options.logger.warn(`${this.#options.id}: ${sentence} (${text})`);
  }
}

function originOf({ message, origin }: TakenMessage): MessageOrigin {
  return origin ?? { topic: message.topic, messageId: message.id.toString() };
}
