import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import { brokerFailure, type BrokerFailureCode } from '../transport/broker-failure.js';

/** What failed, so that an answer that never came is told from a refusal. */
export type NativeAction =
  'connect' | 'createProducer' | 'subscribe' | 'send' | 'flush' | 'acknowledge' | 'unsubscribe' | 'close';

/** The names of `Result` in the C++ client 4.2; those that are not here are `SMARTPULSE_PULSAR_BROKER`, permanent. */
const CODES: Readonly<Record<string, BrokerFailureCode | undefined>> = Object.freeze({
  AuthenticationError: 'SMARTPULSE_PULSAR_AUTHENTICATION',
  ErrorGettingAuthenticationData: 'SMARTPULSE_PULSAR_AUTHENTICATION',
  AuthorizationError: 'SMARTPULSE_PULSAR_AUTHORIZATION',
  ConnectError: 'SMARTPULSE_PULSAR_CONNECTION',
  ReadError: 'SMARTPULSE_PULSAR_CONNECTION',
  NotConnected: 'SMARTPULSE_PULSAR_CONNECTION',
  Disconnected: 'SMARTPULSE_PULSAR_CONNECTION',
  LookupError: 'SMARTPULSE_PULSAR_CONNECTION',
  TimeOut: 'SMARTPULSE_PULSAR_TIMEOUT',
  ConsumerBusy: 'SMARTPULSE_PULSAR_CONSUMER_BUSY',
  ProducerBusy: 'SMARTPULSE_PULSAR_PRODUCER_BUSY',
  ProducerFenced: 'SMARTPULSE_PULSAR_PRODUCER_FENCED',
  ProducerBlockedQuotaExceededError: 'SMARTPULSE_PULSAR_BACKLOG_QUOTA',
  ProducerBlockedQuotaExceededException: 'SMARTPULSE_PULSAR_BACKLOG_QUOTA',
  IncompatibleSchema: 'SMARTPULSE_PULSAR_INCOMPATIBLE_SCHEMA',
  InvalidTopicName: 'SMARTPULSE_PULSAR_INVALID_TOPIC',
  TopicNotFound: 'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND',
  SubscriptionNotFound: 'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND',
  TopicTerminated: 'SMARTPULSE_PULSAR_TOPIC_TERMINATED',
  NotAllowedError: 'SMARTPULSE_PULSAR_NOT_ALLOWED',
  OperationNotSupported: 'SMARTPULSE_PULSAR_NOT_ALLOWED',
  CumulativeAcknowledgementNotAllowedError: 'SMARTPULSE_PULSAR_NOT_ALLOWED',
});
const TRANSIENT: ReadonlySet<string> = new Set([
  'Retryable',
  'ServiceUnitNotReady',
  'TooManyLookupRequestException',
  'BrokerMetadataError',
  'BrokerPersistenceError',
  'UnknownError',
]);
const GONE: ReadonlySet<string> = new Set(['AlreadyClosed', 'ProducerNotInitialized', 'ConsumerNotInitialized']);
/**
 * A send that ends so may have been stored. It was on the way; or the client, which sends again by itself and does not tell, found its topic ended, full or taken after a
 * lost connection, and refused everything that it had sent before.
 */
const LEFT_IN_DOUBT: ReadonlySet<string> = new Set([
  'TimeOut',
  'Disconnected',
  'AlreadyClosed',
  'ProducerFenced',
  'TopicTerminated',
  'ProducerBlockedQuotaExceededError',
  'ProducerBlockedQuotaExceededException',
]);
const BACKPRESSURE: ReadonlySet<string> = new Set(['ProducerQueueIsFull', 'MemoryBufferIsFull']);

/** Errors of the official client are texts, `Failed to send message: TimeOut`; the last word is all that they tell. */
export function resultName(error: unknown): string | undefined {
  const message = error instanceof Error ? error.message : String(error);
  return /: (?:Result)?([A-Za-z]+)$/.exec(message)?.[1];
}

/** What the official client says, as the port says it. */
export function nativeFailure(action: NativeAction, error: unknown, topic: string | undefined): PulsarError {
  if (PulsarError.is(error)) {
    return error;
  }
  const name = resultName(error);
  if (name === undefined) {
    return PulsarError.from(error, topic ?? 'the broker');
  }
  const ambiguous = action === 'send' && LEFT_IN_DOUBT.has(name);
  const details = { topic, ambiguous, cause: error };
  const where = topic === undefined ? '' : ` on ${topic}`;
  if (GONE.has(name)) {
    return ambiguous
      ? brokerFailure('SMARTPULSE_PULSAR_CONNECTION', `The producer${where} was closed under a send.`, {
          ...details,
          kind: 'recreate',
        })
      : new PulsarClosedError(action === 'send' || action === 'flush' ? 'producer' : 'consumer', topic);
  }
  if (name === 'MessageTooBig') {
    return new PulsarError('SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE', `A message${where} is above the broker's limit.`, {
      ...details,
      kind: 'permanent',
      remedy: 'Send a reference to the content, or split it.',
    });
  }
  // Whichever of the two times was over first, nobody has answered.
  const code = action === 'connect' && name === 'TimeOut' ? 'SMARTPULSE_PULSAR_CONNECTION' : CODES[name];
  const problem =
    name === 'TimeOut' && action !== 'send'
      ? // The client does not tell a refused token from a broker that cannot be reached.
        `No answer to "${action}"${where} in time: the broker cannot be reached, or it refused the token.`
      : `The official client refused "${action}"${where} with ${name}.`;
  if (code !== undefined) {
    return brokerFailure(code, problem, details);
  }
  const kind = TRANSIENT.has(name) ? 'transient' : BACKPRESSURE.has(name) ? 'backpressure' : 'permanent';
  return brokerFailure('SMARTPULSE_PULSAR_BROKER', problem, { ...details, kind });
}
