import { BrokerRefusedError, WireError } from '@smartpulse/pulsar-wire';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import {
  brokerFailure,
  type BrokerFailureCode,
  type BrokerFailureDetails,
  foreignMessageId,
  sendAborted,
} from '../transport/broker-failure.js';

/** The broker's numbers, by the names of the protocol (`ServerError` of PulsarApi.proto); the others are `SMARTPULSE_PULSAR_BROKER`. */
const CODES: ReadonlyMap<number, BrokerFailureCode> = new Map([
  [3, 'SMARTPULSE_PULSAR_AUTHENTICATION'],
  [4, 'SMARTPULSE_PULSAR_AUTHORIZATION'],
  [5, 'SMARTPULSE_PULSAR_CONSUMER_BUSY'],
  [7, 'SMARTPULSE_PULSAR_BACKLOG_QUOTA'],
  [8, 'SMARTPULSE_PULSAR_BACKLOG_QUOTA'],
  [11, 'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND'],
  [12, 'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND'],
  [15, 'SMARTPULSE_PULSAR_TOPIC_TERMINATED'],
  [16, 'SMARTPULSE_PULSAR_PRODUCER_BUSY'],
  [17, 'SMARTPULSE_PULSAR_INVALID_TOPIC'],
  [18, 'SMARTPULSE_PULSAR_INCOMPATIBLE_SCHEMA'],
  [22, 'SMARTPULSE_PULSAR_NOT_ALLOWED'],
  [25, 'SMARTPULSE_PULSAR_PRODUCER_FENCED'],
]);
/** The codes that say it better than their number: these of the wire client keep their kind. */
const OWN_CODES: Readonly<Record<string, BrokerFailureCode | undefined>> = Object.freeze({
  SMARTPULSE_WIRE_CONNECTION: 'SMARTPULSE_PULSAR_CONNECTION',
  SMARTPULSE_WIRE_TOKEN_SUPPLIER: 'SMARTPULSE_PULSAR_AUTHENTICATION',
  SMARTPULSE_WIRE_REQUEST_TIMEOUT: 'SMARTPULSE_PULSAR_TIMEOUT',
  SMARTPULSE_WIRE_SEND_TIMEOUT: 'SMARTPULSE_PULSAR_TIMEOUT',
  SMARTPULSE_WIRE_INVALID_TOPIC_NAME: 'SMARTPULSE_PULSAR_INVALID_TOPIC',
});

/** What the wire client says, as the port says it. */
export function wireFailure(error: unknown, topic: string | undefined): PulsarError {
  if (!(error instanceof WireError)) {
    return PulsarError.from(error, topic ?? 'the broker');
  }
  const details = { topic, ambiguous: error.ambiguous, cause: error };
  if (error instanceof BrokerRefusedError) {
    return refusal(error, details);
  }
  switch (error.code) {
    case 'SMARTPULSE_WIRE_MESSAGE_TOO_LARGE':
      return new PulsarError('SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE', withoutRemedy(error), {
        ...details,
        kind: 'permanent',
        remedy: 'Send a reference to the content, or split it.',
      });
    case 'SMARTPULSE_WIRE_WAIT_ABORTED':
      return sendAborted(topic ?? 'the broker', error.cause);
    case 'SMARTPULSE_WIRE_CLOSED':
      if (error.cause instanceof BrokerRefusedError && !error.ambiguous) {
        // The broker ended it, and nothing was sent: another one hears whether the reason still holds.
        return refusal(error.cause, { ...details, kind: 'recreate' });
      }
      return error.ambiguous
        ? brokerFailure('SMARTPULSE_PULSAR_CONNECTION', withoutRemedy(error), { ...details, kind: 'recreate' })
        : new PulsarClosedError(closedPart(error), topic, error.cause === undefined ? undefined : error);
    case 'SMARTPULSE_WIRE_INVALID_MESSAGE_ID':
      return foreignMessageId(topic ?? 'the broker');
    case 'SMARTPULSE_WIRE_INVALID_OPTION':
    case 'SMARTPULSE_WIRE_INVALID_SERVICE_URL':
      return new PulsarError('SMARTPULSE_PULSAR_INVALID_OPTIONS', withoutRemedy(error), {
        ...details,
        kind: 'permanent',
        remedy: error.remedy,
      });
    case 'SMARTPULSE_WIRE_UNSUPPORTED':
      return brokerFailure('SMARTPULSE_PULSAR_NOT_ALLOWED', withoutRemedy(error), details);
    default:
      return brokerFailure(OWN_CODES[error.code] ?? 'SMARTPULSE_PULSAR_BROKER', withoutRemedy(error), {
        ...details,
        kind: error.kind,
      });
  }
}

function refusal(error: BrokerRefusedError, details: BrokerFailureDetails): PulsarError {
  const { topic } = details;
  const code = CODES.get(error.number);
  const problem = `The broker refused "${error.request}"${topic === undefined ? '' : ` on ${topic}`}: ${error.answer || `error ${error.number}`}.`;
  // A taken subscription stays taken until its owner leaves it: whoever subscribes is to be told, not to try on.
  return code === undefined
    ? brokerFailure('SMARTPULSE_PULSAR_BROKER', problem, { kind: error.kind, ...details })
    : brokerFailure(code, problem, details);
}

function withoutRemedy({ message, remedy }: WireError): string {
  return message.endsWith(remedy) ? message.slice(0, -remedy.length).trimEnd() : message;
}

function closedPart(error: WireError): string {
  return 'part' in error && typeof error.part === 'string' ? error.part : 'transport';
}
