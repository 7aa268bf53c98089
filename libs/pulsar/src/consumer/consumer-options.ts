import type { EventContract } from '../event/define-event.js';
import type { PulsarCodec } from '../codec/pulsar-codec.js';
import type { IncomingMessage, InitialPosition, SubscriptionType } from '../transport/pulsar.transport.js';
import type { StartupOptions } from '../pulsar.options.js';
import type { DeliveryMode } from './delivery.js';
import type { DedupeOptions } from '../dedupe/dedupe-options.js';
import type { PauseOnOptions } from './pause-on.js';
import type { PulsarContext } from './pulsar-context.js';
import type { RetryOptions } from './retry/retry-options.js';
import type { HandlerAnswer, Settlement } from './settlement.js';

/** How long to wait between two handler runs of one message. */
export interface RetryBackoff {
  /** Before the first retry, milliseconds. Default 1,000. */
  readonly initialMs?: number | undefined;
  /** Factor from one wait to the next. Default 2. */
  readonly multiplier?: number | undefined;
  /** The longest wait, milliseconds. Default 60,000. */
  readonly maxMs?: number | undefined;
  /** `equal`: half of the wait is random; `full`: all of it. Default `equal`. */
  readonly jitter?: 'none' | 'equal' | 'full' | undefined;
}

/** Where messages go whose attempts are spent or that cannot be read. */
export interface DeadLetterOptions {
  /** Short or full name. Default `<topic>-<subscription>-DLQ`. */
  readonly topic?: string | undefined;
  /**
   * A subscription that the topic gets before its first letter: what nobody is subscribed to, a broker drops as soon as its retention allows. `false`: none;
   * then retention alone keeps letters. Default `smartpulse-dead-letters`, the one that `PulsarDeadLetters` works off.
   */
  readonly initialSubscription?: string | false | undefined;
  /** Adds the error's stack as `x-exception-stack`. Default `false`: a stack tells more than a topic's readers may know. */
  readonly includeStack?: boolean | undefined;
}

/** What `PulsarConsumers.register` and `@PulsarSubscribe` take. */
export interface ConsumerOptions<T> {
  /** Short or full topic name, or a contract: its codec and schema then apply. */
  readonly topic: string | EventContract<T>;
  /** The subscription's name: consumers of one name share or take over its messages. */
  readonly subscription: string;
  /** Names the consumer in logs, stats and the registry. Default `<topic>/<subscription>`, with a number when taken. */
  readonly id?: string | undefined;
  /** Default `Shared`. */
  readonly type?: SubscriptionType | undefined;
  /**
   * `work-sharing`: all instances of the app share the subscription, each message is handled by one. `every-replica`: each instance has a subscription
   * of its own (`<subscription>-<instanceId>`) that ends with it, and handles every message from its start on; what comes while its consumer is
   * away from the broker may be missed. Default `work-sharing`.
   */
  readonly delivery?: DeliveryMode | undefined;
  /** `false`: subscribes when `start()` of its handle is called, not by itself. Default `true`. */
  readonly autoStart?: boolean | undefined;
  /** What happens when the subscription cannot be made while the app starts. Default: the module's. */
  readonly startup?: Partial<StartupOptions> | undefined;
  /** Where a *new* subscription begins. Default `latest`; change feeds use `earliest`. */
  readonly initialPosition?: InitialPosition | undefined;
  /** `false`: the subscription lives as long as the consumer. Default `true`. */
  readonly durable?: boolean | undefined;
  /**
   * Handlers that run at the same time, 1 to 1,000. Messages of one key never run side by side. Default 1. More than 1 needs Shared or
   * Key_Shared: on Exclusive and Failover it would break the order that they are chosen for.
   */
  readonly concurrency?: number | undefined;
  /** Messages received ahead of the running handlers, 0 to 10,000. Default: as many as `concurrency`. */
  readonly prefetch?: number | undefined;
  /**
   * Messages that wait behind another one of their key, for their next attempt or for the answer to their acknowledgement, and take no place of those
   * `concurrency` + `prefetch` while a handler is free: so many more are received, and other keys pass by. Beyond, a slow key holds up all that come behind it. 0 to 100,000, 0 = each takes a place. Default
   * 8 times the places, at most 1,000. Not on Exclusive and Failover, where nothing may pass by.
   */
  readonly maxHeldBack?: number | undefined;
  /**
   * Payload bytes of messages that are received and not settled, or on the way: what would bring more is not asked for, by what messages weighed of late. One
   * message is let through in any case. With a retry topic for each of the two. Default: the number of messages alone counts.
   */
  readonly prefetchBytes?: number | undefined;
  /** Default: the contract's, else JSON. */
  readonly codec?: PulsarCodec<T> | undefined;
  /** Handler runs in all before the message is dead-lettered, 1 to 1,000. Default 5. */
  readonly maxAttempts?: number | undefined;
  /** Waits between handler runs; the key's later messages wait too, unless `retry` says otherwise. */
  readonly backoff?: RetryBackoff | undefined;
  /**
   * Who says that a message is done: `auto`, the handler by returning; `manual`, the handler by `context.ack()`, `nack()` or `deadLetter()`, during its run or
   * after it returned. Until then the lane of the key is held and `timeoutMs` runs. Not with `batch`. Default `auto`.
   */
  readonly ack?: 'auto' | 'manual' | undefined;
  /** Remembers what was handled, so that a message that is delivered or published twice is handled once. Not with `batch`. Default: none. */
  readonly dedupe?: DedupeOptions | undefined;
  /** Where a message waits for its next run: in its lane, or on a retry topic, which gives up the order of keys. Default `{ mode: 'lane' }`. */
  readonly retry?: RetryOptions | undefined;
  /** A handler run that takes longer, in milliseconds, is aborted and counts as failed. 0 = never. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /**
   * `false`: no dead letter topic. A message whose attempts are spent then goes to `onDeadLetter`, or without one comes again after
   * `backoff.maxMs`, for ever.
   */
  readonly deadLetter?: DeadLetterOptions | false | undefined;
  /** Whether an error means that infrastructure is down: the attempt is not counted and the consumer pauses until a probe succeeds. */
  readonly isOutage?: ((error: unknown) => boolean) | undefined;
  /** Pauses when many handler runs fail, goes on when one succeeds after the cool-down. `{}` takes the defaults. Default: never. */
  readonly pauseOn?: PauseOnOptions | undefined;
  /** Gathers messages for a handler of many: see `BatchConsumerOptions`. */
  readonly batch?: undefined;
  /** Asks the infrastructure whether it is back. Without it the message that met the outage is tried again alone. */
  readonly probe?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** Runs after the dead letter is stored and before the message is acknowledged; a failure gives the message back. */
  readonly onDeadLetter?: ((message: IncomingMessage, error: Error) => Promise<void>) | undefined;
}

/** Handles one message: nothing or {@link Settlement} `ack` = done, a throw = retry. */
export type MessageHandler<T> = (payload: T, context: PulsarContext) => Promise<Settlement | void> | Settlement | void;

/** What stands in front of a handler answers more than a handler may. */
export type AnsweringHandler<T> = (
  payload: T,
  context: PulsarContext,
) => Promise<HandlerAnswer | void> | HandlerAnswer | void;

/** Counts since the consumer began; they only grow, except `inFlight` and `waiting`. */
export interface ConsumerStats {
  readonly received: number;
  readonly acked: number;
  /** Handler runs that failed and were or will be repeated. */
  readonly retried: number;
  /** Messages given back to the broker by `nack`, or because a dead letter could not be stored. */
  readonly nacked: number;
  readonly deadLettered: number;
  /** Handler runs that failed, whatever came of it. */
  readonly failed: number;
  /** Times that infrastructure was found to be down. */
  readonly outages: number;
  /** Times that `pauseOn` paused it. */
  readonly trips: number;
  /** Acknowledgements that the broker refused; those messages come again. */
  readonly unsettled: number;
  /** Messages that were handled before and were acknowledged without another run (`dedupe`). */
  readonly duplicates: number;
  /** Messages taken and neither acknowledged nor given back yet. */
  readonly inFlight: number;
  /** Messages of `inFlight` that wait for a free handler, their key or their retry. */
  readonly waiting: number;
}

/**
 * How a consumer is. `outage`: infrastructure is down, times by `Clock.now`. `tripped`: too many handler runs failed (`pauseOn`).
 */
export type ConsumerState =
  | { readonly status: 'waiting' }
  | { readonly status: 'consuming' }
  | { readonly status: 'paused' }
  | { readonly status: 'outage'; readonly sinceMs: number }
  | { readonly status: 'tripped'; readonly sinceMs: number }
  | { readonly status: 'reconnecting'; readonly attempt: number }
  | { readonly status: 'stopping' }
  | { readonly status: 'closed' };

/** One registered consumer. */
export interface PulsarConsumerHandle {
  /** Unique in the app. */
  readonly id: string;
  /** The full topic name. */
  readonly topic: string;
  readonly subscription: string;
  readonly type: SubscriptionType;
  readonly concurrency: number;
  /** The full name of the topic where retries wait; `undefined`: they wait in their lane. */
  readonly retryTopic: string | undefined;
  /** The full name of the topic where given up messages go; `undefined`: there is none. */
  readonly deadLetterTopic: string | undefined;
  readonly state: ConsumerState;
  stats(): ConsumerStats;
  /**
   * Resolves when the subscription exists and consuming began. It does so in the app's bootstrap: awaited in `onModuleInit` it would wait for
   * itself, and after ten seconds the log says so.
   *
   * @throws PulsarError when the subscription could not be made, or the consumer was closed before.
   */
  whenSubscribed(): Promise<void>;
  /**
   * Subscribes a consumer with `autoStart: false`; where others are concerned, the same as {@link whenSubscribed}. Once it has failed, it may be called
   * again.
   *
   * @throws PulsarError when the subscription could not be made, or the consumer was closed before.
   */
  start(): Promise<void>;
  /** Starts no handler until {@link resume}, also before {@link start}; what runs goes on. */
  pause(): void;
  /** Goes on after {@link pause}. Does nothing once the consumer stops. */
  resume(): void;
  /** Stops intake, waits for running handlers (25 s at most), gives back the rest and leaves the subscription in place. Idempotent. */
  close(): Promise<void>;
  /**
   * Like {@link close}, and deletes the subscription with its cursor.
   *
   * @throws PulsarError when it cannot be deleted, as beside another consumer: this one is closed all the same.
   */
  unsubscribe(): Promise<void>;
}
