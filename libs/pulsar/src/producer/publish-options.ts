import type { PulsarCodec } from '../codec/pulsar-codec.js';
import type { PulsarError } from '../pulsar.errors.js';

/** The property that carries {@link PublishOptions.idempotencyKey}: what consumers take for the same event, however often it is sent. */
export const IDEMPOTENCY_KEY_PROPERTY = 'x-idempotency-key';

/** How one message is published. */
export interface PublishOptions<T = unknown> {
  /** Keeps the order among messages of the same key. Default: the contract's `key`. */
  readonly key?: string | undefined;
  /** Overrides `key` for order on Key_Shared subscriptions. */
  readonly orderingKey?: string | undefined;
  /** Text headers; the trace context (`traceparent`, `tracestate`) is added to them. */
  readonly properties?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds since the Unix epoch, for the application's use. */
  readonly eventTimeMs?: number | undefined;
  /** Delivered no sooner than this wall time, milliseconds since the Unix epoch; Shared and Key_Shared subscriptions only. */
  readonly deliverAtMs?: number | undefined;
  /** Delivered no sooner than this many milliseconds from now; not together with `deliverAtMs`. */
  readonly deliverAfterMs?: number | undefined;
  /**
   * Names the event, so that consumers which keep what they have seen handle it once, however often it is published: an order's number, a
   * request's id. Travels as the property `x-idempotency-key`. The broker does not look at it; for that, see `sequenceId`.
   */
  readonly idempotencyKey?: string | undefined;
  /**
   * Rising per producer name and topic: a broker with deduplication stores each once, also when it is sent again after an ambiguous failure.
   * Needs `producer.producerName`, which one instance of the app may use at a time.
   */
  readonly sequenceId?: bigint | undefined;
  /** Default: the contract's, else JSON. */
  readonly codec?: PulsarCodec<T> | undefined;
  /** Whether the contract's schema is asked first; see `producer.validate`, whose value is the default. */
  readonly validate?: boolean | undefined;
  /** Ends the wait for a producer or for room; a message that is on its way is not called back. */
  readonly signal?: AbortSignal | undefined;
}

/** A stored message. */
export interface PublishResult {
  /** The full topic name. */
  readonly topic: string;
  /** The broker's identifier, as text. */
  readonly messageId: string;
}

/** What became of one item of `publishMany`. */
export type PublishOutcome =
  | { readonly status: 'fulfilled'; readonly value: PublishResult }
  | { readonly status: 'rejected'; readonly error: PulsarError };
