import type { Logger } from '@nestjs/common';
import type { Clock, Random } from '@smartpulse/resilience';
import type { PulsarConnection } from '../connection/pulsar.connection.js';
import type { IncomingMessage, SubscriptionType } from '../transport/pulsar.transport.js';
import type { ResolvedConsumerOptions } from './resolve-consumer-options.js';
import { type LinkedConsumer, SubscriptionLink } from './subscription-link.js';
import { SubscriptionLinks } from './subscription-links.js';

/** What the links of a consumer are made of. */
export interface ConsumerLinksOptions {
  readonly id: string;
  readonly consumer: ResolvedConsumerOptions;
  /** Messages that may be out at once, of each topic. */
  readonly window: number;
  /** How many of those that are out are held back and take no place of the window. */
  readonly heldBack: (out: number) => number;
  readonly connection: PulsarConnection;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onMessage: (message: IncomingMessage, from: LinkedConsumer, isRetry: boolean) => void;
  /** A subscription was made in the background. */
  readonly onConnected: () => void;
}

/** The links to a consumer's topic and its retry topic, if it has one. */
export function linksOf(options: ConsumerLinksOptions): SubscriptionLinks {
  const { topic, type, retryTopic } = options.consumer;
  return new SubscriptionLinks([
    linkTo(options, topic, type, false),
    ...(retryTopic === undefined ? [] : [linkTo(options, retryTopic, 'Shared', true)]),
  ]);
}

/** What waits on a retry topic has been there before: it begins at its earliest, and in no order. */
function linkTo(
  options: ConsumerLinksOptions,
  topic: string,
  type: SubscriptionType,
  isRetry: boolean,
): SubscriptionLink {
  const { clock, connection, heldBack, id, logger, random, window } = options;
  const { subscription, initialPosition, durable, prefetchBytes } = options.consumer;
  return new SubscriptionLink({
    clock,
    random,
    window,
    heldBack,
    maxBytes: prefetchBytes,
    // Where the broker's side reads ahead, giving one back may bring others with it that are being handled.
    returnsLate: type === 'Shared' && connection.transport.capabilities.exactPermits,
    subscribe: async (listener) => {
      await connection.ready();
      return await connection.transport.subscribe(
        {
          topic,
          subscription,
          type,
          initialPosition: isRetry ? 'earliest' : initialPosition,
          durable,
          expectedPermits: window,
        },
        listener,
      );
    },
    onMessage: (message, from) => options.onMessage(message, from, isRetry),
    onLost: (error) => logger.warn(`${id}: the consumer was closed (${error.message}) and is made anew.`),
    onReconnectFailed: (error, attempt) =>
      logger.warn(`${id}: attempt ${attempt} to subscribe again failed (${messageOf(error)}).`),
    onReconnected: () => {
      logger.log(`${id}: subscribed.`);
      options.onConnected();
    },
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
