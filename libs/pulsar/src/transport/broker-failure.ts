import { PulsarError, type PulsarErrorCode, type PulsarErrorKind } from '../pulsar.errors.js';

/** What a broker can say no with, or a connection to it; the codes of every transport that has one. */
export type BrokerFailureCode =
  | 'SMARTPULSE_PULSAR_AUTHENTICATION'
  | 'SMARTPULSE_PULSAR_AUTHORIZATION'
  | 'SMARTPULSE_PULSAR_BACKLOG_QUOTA'
  | 'SMARTPULSE_PULSAR_BROKER'
  | 'SMARTPULSE_PULSAR_CONFLICT'
  | 'SMARTPULSE_PULSAR_CONNECTION'
  | 'SMARTPULSE_PULSAR_CONSUMER_BUSY'
  | 'SMARTPULSE_PULSAR_INCOMPATIBLE_SCHEMA'
  | 'SMARTPULSE_PULSAR_INVALID_TOPIC'
  | 'SMARTPULSE_PULSAR_NOT_ALLOWED'
  | 'SMARTPULSE_PULSAR_NOT_FOUND'
  | 'SMARTPULSE_PULSAR_PRODUCER_BUSY'
  | 'SMARTPULSE_PULSAR_PRODUCER_FENCED'
  | 'SMARTPULSE_PULSAR_TIMEOUT'
  | 'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND'
  | 'SMARTPULSE_PULSAR_TOPIC_TERMINATED';

const MEANINGS: Readonly<Record<BrokerFailureCode, readonly [PulsarErrorKind, string]>> = Object.freeze({
  SMARTPULSE_PULSAR_AUTHENTICATION: ['permanent', 'Check the token: it is missing, wrong or expired.'],
  SMARTPULSE_PULSAR_AUTHORIZATION: ['permanent', 'Grant the role of the token what it needs on the namespace.'],
  SMARTPULSE_PULSAR_BACKLOG_QUOTA: [
    'backpressure',
    'Publish again when the consumers have caught up, or raise the quota.',
  ],
  SMARTPULSE_PULSAR_BROKER: ['transient', 'Try again later; see the cause.'],
  SMARTPULSE_PULSAR_CONFLICT: ['permanent', 'Use what is there, or another name.'],
  SMARTPULSE_PULSAR_CONNECTION: [
    'transient',
    'Check that the broker runs and that address, network and TLS settings are right.',
  ],
  SMARTPULSE_PULSAR_CONSUMER_BUSY: [
    'permanent',
    'Close the other consumer, or subscribe with the type that the subscription has, not Exclusive.',
  ],
  SMARTPULSE_PULSAR_INCOMPATIBLE_SCHEMA: ['permanent', 'Publish what fits the schema of the topic.'],
  SMARTPULSE_PULSAR_INVALID_TOPIC: ['permanent', 'Correct the name of the topic.'],
  SMARTPULSE_PULSAR_NOT_ALLOWED: ['permanent', 'See what the broker says.'],
  SMARTPULSE_PULSAR_NOT_FOUND: ['permanent', 'Create it, or correct its name.'],
  SMARTPULSE_PULSAR_PRODUCER_BUSY: [
    'recreate',
    'One producer of a name may be on a topic, in the whole cluster. Give each instance of the app a producerName of its own, let one instance at a time publish to this topic, or leave producerName out. After a crash the name is free when the broker has noticed, which takes up to a minute.',
  ],
  SMARTPULSE_PULSAR_PRODUCER_FENCED: [
    'recreate',
    'Another producer has taken the topic for itself; make a new one when it may be taken back.',
  ],
  SMARTPULSE_PULSAR_TIMEOUT: ['transient', 'Try again later, or raise the timeout.'],
  SMARTPULSE_PULSAR_TOPIC_NOT_FOUND: [
    'permanent',
    'Create the tenant, the namespace or the topic, or correct its name.',
  ],
  SMARTPULSE_PULSAR_TOPIC_TERMINATED: ['permanent', 'Publish to another topic: this one takes no message any more.'],
});

/** What a {@link brokerFailure} is about. */
export interface BrokerFailureDetails {
  /** The full topic name, where one is concerned. */
  readonly topic?: string | undefined;
  /** The message may have been stored all the same. Default `false`. */
  readonly ambiguous?: boolean | undefined;
  /** Instead of what the code usually means. */
  readonly kind?: PulsarErrorKind | undefined;
  readonly cause?: unknown;
}

/**
 * The error of a code, the same whatever transport found it out.
 *
 * @param problem what happened, as a sentence without credentials.
 */
export function brokerFailure(
  code: BrokerFailureCode,
  problem: string,
  details: BrokerFailureDetails = {},
): PulsarError {
  const [kind, remedy] = MEANINGS[code];
  return new PulsarError(code satisfies PulsarErrorCode, problem, {
    kind: details.kind ?? kind,
    remedy,
    ambiguous: details.ambiguous,
    topic: details.topic,
    cause: details.cause,
  });
}

/** A payload above what the transport takes: nothing was sent. */
export function tooLarge(topic: string, bytes: number, maxBytes: number, cause?: unknown): PulsarError {
  return new PulsarError(
    'SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE',
    `A payload of ${bytes} bytes for ${topic} is above ${maxBytes}.`,
    {
      kind: 'permanent',
      remedy: 'Send a reference to the content, or split it.',
      topic,
      cause,
    },
  );
}

/** A send whose caller gave up the wait for a producer or for room: nothing was sent. */
export function sendAborted(topic: string, cause: unknown): PulsarError {
  return new PulsarError('SMARTPULSE_PULSAR_ABORTED', `A send to ${topic} was given up while it waited.`, {
    kind: 'transient',
    remedy: 'Nothing was sent; publish again when there is time.',
    topic,
    cause,
  });
}

/** An id that is not of a message which this consumer received. */
export function foreignMessageId(topic: string): PulsarError {
  return new PulsarError('SMARTPULSE_PULSAR_INVALID_MESSAGE_ID', 'The message id is not of this broker.', {
    kind: 'permanent',
    remedy: 'Acknowledge with the id of a message that this consumer received.',
    topic,
  });
}

/** Something that the chosen transport has no way to do. */
export function unsupported(transport: string, what: string, topic?: string): PulsarError {
  return new PulsarError('SMARTPULSE_PULSAR_UNSUPPORTED', `The ${transport} transport offers no ${what}.`, {
    kind: 'permanent',
    remedy: 'Do without it, or use a transport whose capabilities name it.',
    topic,
  });
}
