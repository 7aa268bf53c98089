import { SmartPulseError, type StandardSchemaV1 } from '@smartpulse/resilience';

/**
 * What to do with an error, whatever transport it comes from. `transient`: try again later. `backpressure`: the broker or the pool is
 * full, slow down. `recreate`: the producer or consumer is gone, make another one. `permanent`: trying again changes nothing.
 */
export type PulsarErrorKind = 'transient' | 'backpressure' | 'recreate' | 'permanent';

/** Stable codes of {@link PulsarError}. */
export type PulsarErrorCode =
  | 'SMARTPULSE_PULSAR_ABORTED'
  | 'SMARTPULSE_PULSAR_AUTHENTICATION'
  | 'SMARTPULSE_PULSAR_AUTHORIZATION'
  | 'SMARTPULSE_PULSAR_BACKLOG_QUOTA'
  | 'SMARTPULSE_PULSAR_BATCH_ITEMS_FAILED'
  | 'SMARTPULSE_PULSAR_BROKER'
  | 'SMARTPULSE_PULSAR_CLOSED'
  | 'SMARTPULSE_PULSAR_CONFLICT'
  | 'SMARTPULSE_PULSAR_CONNECTION'
  | 'SMARTPULSE_PULSAR_CONSUMER_BUSY'
  | 'SMARTPULSE_PULSAR_ENCODING'
  | 'SMARTPULSE_PULSAR_DEDUPE_UNAVAILABLE'
  | 'SMARTPULSE_PULSAR_HANDLER_TIMEOUT'
  | 'SMARTPULSE_PULSAR_INCOMPATIBLE_SCHEMA'
  | 'SMARTPULSE_PULSAR_INJECTED'
  | 'SMARTPULSE_PULSAR_INVALID_MESSAGE_ID'
  | 'SMARTPULSE_PULSAR_INVALID_OPTIONS'
  | 'SMARTPULSE_PULSAR_INVALID_PAYLOAD'
  | 'SMARTPULSE_PULSAR_INVALID_TOPIC'
  | 'SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE'
  | 'SMARTPULSE_PULSAR_NOT_ALLOWED'
  | 'SMARTPULSE_PULSAR_NOT_FOUND'
  | 'SMARTPULSE_PULSAR_NO_ADMIN'
  | 'SMARTPULSE_PULSAR_POOL_FULL'
  | 'SMARTPULSE_PULSAR_PRODUCER_BUSY'
  | 'SMARTPULSE_PULSAR_PRODUCER_FENCED'
  | 'SMARTPULSE_PULSAR_REFUSED'
  | 'SMARTPULSE_PULSAR_SENDS_FULL'
  | 'SMARTPULSE_PULSAR_SUBSCRIPTION_MISMATCH'
  | 'SMARTPULSE_PULSAR_TIMEOUT'
  | 'SMARTPULSE_PULSAR_TOO_MANY_TOPICS'
  | 'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND'
  | 'SMARTPULSE_PULSAR_TOPIC_TERMINATED'
  | 'SMARTPULSE_PULSAR_TRANSPORT_UNAVAILABLE'
  | 'SMARTPULSE_PULSAR_UNKNOWN'
  | 'SMARTPULSE_PULSAR_UNSUPPORTED';

/** What a {@link PulsarError} carries beside its sentence. */
export interface PulsarErrorDetails {
  readonly kind: PulsarErrorKind;
  /** What to do about it: a full sentence. */
  readonly remedy: string;
  /** `true`: the broker may have stored the message although the call failed. Default `false`. */
  readonly ambiguous?: boolean | undefined;
  /** The full topic name, where one is concerned. */
  readonly topic?: string | undefined;
  readonly cause?: unknown;
}

/** Every rejection of a transport, the publisher and the consumers: a stable `code`, a `kind` that says what to do. */
export class PulsarError extends SmartPulseError {
  readonly code: PulsarErrorCode;
  readonly kind: PulsarErrorKind;
  /** `true`: the message may have been stored all the same; sending it again may store it twice. */
  readonly ambiguous: boolean;
  /** The full topic name, where one is concerned. */
  readonly topic: string | undefined;

  constructor(code: PulsarErrorCode, problem: string, details: PulsarErrorDetails) {
    super(problem, { remedy: details.remedy, cause: details.cause });
    this.code = code;
    this.kind = details.kind;
    this.ambiguous = details.ambiguous ?? false;
    this.topic = details.topic;
  }

  static is(this: void, error: unknown): error is PulsarError {
    return (
      error instanceof Error &&
      'code' in error &&
      typeof error.code === 'string' &&
      error.code.startsWith('SMARTPULSE_PULSAR_')
    );
  }

  /** The error itself when it is a {@link PulsarError}, else one of code `SMARTPULSE_PULSAR_UNKNOWN`, permanent, with it as its cause. */
  static from(error: unknown, topic: string): PulsarError {
    if (PulsarError.is(error)) {
      return error;
    }
    const name = error instanceof Error ? error.name : typeof error;
    return new PulsarError('SMARTPULSE_PULSAR_UNKNOWN', `The transport failed on ${topic} with ${name}.`, {
      kind: 'permanent',
      remedy: 'See the cause.',
      topic,
      cause: error,
    });
  }
}

/** The subscription is Exclusive and has its consumer. */
export class ConsumerBusyError extends PulsarError {
  static readonly code = 'SMARTPULSE_PULSAR_CONSUMER_BUSY';

  constructor(topic: string, subscription: string) {
    super(
      ConsumerBusyError.code,
      `Subscription "${subscription}" on ${topic} is Exclusive and already has a consumer.`,
      {
        kind: 'permanent',
        remedy: 'Close the other consumer, or subscribe with type Shared, Key_Shared or Failover.',
        topic,
      },
    );
  }

  static override is(this: void, error: unknown): error is ConsumerBusyError {
    return SmartPulseError.hasCode(error, ConsumerBusyError.code);
  }
}

/** The topic's log is full of messages that a durable subscription still needs: nothing was stored. */
export class BacklogQuotaError extends PulsarError {
  static readonly code = 'SMARTPULSE_PULSAR_BACKLOG_QUOTA';

  constructor(topic: string, subscription: string) {
    super(
      BacklogQuotaError.code,
      `The log of ${topic} is full: subscription "${subscription}" has not acknowledged its oldest messages.`,
      {
        kind: 'backpressure',
        remedy: 'Publish again when its consumers have caught up, delete the subscription, or raise the retention.',
        topic,
      },
    );
  }

  static override is(this: void, error: unknown): error is BacklogQuotaError {
    return SmartPulseError.hasCode(error, BacklogQuotaError.code);
  }
}

/** The transport needs a package that is not installed or cannot be loaded here. */
export class TransportUnavailableError extends PulsarError {
  static readonly code = 'SMARTPULSE_PULSAR_TRANSPORT_UNAVAILABLE';

  /**
   * @param transport the transport that was asked for: `native` or `websocket`.
   * @param packageName the package that it needs.
   * @param alternative what to use instead, as half a sentence.
   */
  constructor(transport: string, packageName: string, alternative: string, cause?: unknown) {
    super(
      TransportUnavailableError.code,
      `The ${transport} transport needs the package ${packageName}, which cannot be loaded.`,
      {
        kind: 'permanent',
        remedy: `Install it (npm install ${packageName}), with its install script allowed where it has one, or use ${alternative}.`,
        cause,
      },
    );
  }

  static override is(this: void, error: unknown): error is TransportUnavailableError {
    return SmartPulseError.hasCode(error, TransportUnavailableError.code);
  }
}

/**
 * A payload that the codec cannot read or the schema refuses. One that was published is refused, nothing is sent; one that is delivered is
 * dead-lettered at once: trying again changes nothing.
 */
export class InvalidPayloadError extends PulsarError {
  static readonly code = 'SMARTPULSE_PULSAR_INVALID_PAYLOAD';

  /**
   * @param issues what the schema found; empty when the codec could not read the payload at all.
   * @param side where it was found. Default `delivered`.
   */
  constructor(
    topic: string,
    readonly issues: readonly StandardSchemaV1.Issue[],
    cause?: unknown,
    side: 'delivered' | 'published' = 'delivered',
  ) {
    const first = issues[0] === undefined ? '' : ` (${pathOf(issues[0])}: ${issues[0].message})`;
    super(
      InvalidPayloadError.code,
      issues.length === 0
        ? `A payload on ${topic} cannot be decoded.`
        : `A payload on ${topic} does not fit its schema: ${issues.length} issue${issues.length === 1 ? '' : 's'}${side === 'published' ? first : ''}.`,
      { kind: 'permanent', remedy: REMEDIES[side], topic, cause },
    );
  }

  static override is(this: void, error: unknown): error is InvalidPayloadError {
    return SmartPulseError.hasCode(error, InvalidPayloadError.code);
  }
}

const REMEDIES = Object.freeze({
  delivered: 'Mend the producer; the message stands in the dead letter topic.',
  published: 'Mend the data: every consumer of the contract would dead-letter it. Nothing was sent.',
});

/** The place of an issue as text, `items.0.unit`. */
export function pathOf({ path = [] }: StandardSchemaV1.Issue): string {
  return path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
}

/** A handler that did not settle within its `timeoutMs`; counts as a failed attempt. */
export class HandlerTimeoutError extends PulsarError {
  static readonly code = 'SMARTPULSE_PULSAR_HANDLER_TIMEOUT';

  constructor(topic: string, timeoutMs: number) {
    super(HandlerTimeoutError.code, `A handler on ${topic} took longer than ${timeoutMs} ms.`, {
      kind: 'transient',
      remedy: 'Raise timeoutMs, or make the handler faster and let it honour context.signal.',
      topic,
    });
  }

  static override is(this: void, error: unknown): error is HandlerTimeoutError {
    return SmartPulseError.hasCode(error, HandlerTimeoutError.code);
  }
}

/** The store of what was handled does not answer: the consumer pauses until it does. */
export class DedupeUnavailableError extends PulsarError {
  static readonly code = 'SMARTPULSE_PULSAR_DEDUPE_UNAVAILABLE';

  constructor(cause: unknown) {
    super(DedupeUnavailableError.code, 'The store of handled messages does not answer.', {
      kind: 'transient',
      remedy: 'Look at the store, see the cause; messages wait, none is lost.',
      cause,
    });
  }

  static override is(this: void, error: unknown): error is DedupeUnavailableError {
    return SmartPulseError.hasCode(error, DedupeUnavailableError.code);
  }
}

/** The producer, consumer, transport or broker was closed. */
export class PulsarClosedError extends PulsarError {
  static readonly code = 'SMARTPULSE_PULSAR_CLOSED';

  /**
   * @param part what is closed: `producer`, `consumer`, `transport`, `publisher`, `broker`.
   * @param cause what ended it, when nobody closed it.
   */
  constructor(part: string, topic?: string, cause?: unknown) {
    super(PulsarClosedError.code, `The ${part}${topic === undefined ? '' : ` on ${topic}`} is closed.`, {
      kind: 'recreate',
      remedy: 'Make another one; during a shutdown, stop publishing before the clients close.',
      topic,
      cause,
    });
  }

  static override is(this: void, error: unknown): error is PulsarClosedError {
    return SmartPulseError.hasCode(error, PulsarClosedError.code);
  }
}

/** The error itself, or one made of what was thrown instead. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
