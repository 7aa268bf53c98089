import { PulsarError } from '../pulsar.errors.js';
import { brokerFailure, type BrokerFailureCode, type BrokerFailureDetails } from '../transport/broker-failure.js';

/** The exceptions that the broker's side names, with what they mean; an unknown one may have come after the message was stored. */
const MEANINGS: readonly (readonly [text: RegExp, code: BrokerFailureCode, details: BrokerFailureDetails])[] = [
  // The broker's side is a client of its own, which sends again by itself and does not tell: where it finds its topic ended or full after a lost connection, it refuses
  // everything that was on its way, stored or not.
  [/TopicTerminated/, 'SMARTPULSE_PULSAR_TOPIC_TERMINATED', { ambiguous: true }],
  [/QueueIsFull|MemoryBufferIsFull/, 'SMARTPULSE_PULSAR_BROKER', { kind: 'backpressure' }],
  [/QuotaExceeded/, 'SMARTPULSE_PULSAR_BACKLOG_QUOTA', { ambiguous: true }],
  [/Fenced/, 'SMARTPULSE_PULSAR_PRODUCER_FENCED', { ambiguous: true }],
  [/IncompatibleSchema/, 'SMARTPULSE_PULSAR_INCOMPATIBLE_SCHEMA', {}],
  [/Authorization/, 'SMARTPULSE_PULSAR_AUTHORIZATION', {}],
  [/Timeout/, 'SMARTPULSE_PULSAR_TIMEOUT', { ambiguous: true }],
  [/NotAllowed/, 'SMARTPULSE_PULSAR_NOT_ALLOWED', {}],
];
const MAX_SHOWN = 300;

/** The error of a send that the broker answered with `result` instead of an id. */
export function sendFailure(topic: string, result: string, errorMessage: string): PulsarError {
  const said = errorMessage.slice(0, MAX_SHOWN);
  const problem = `The broker refused a message for ${topic} (${result}): ${said}.`;
  if (/exceeds \d+ bytes|MessageTooBig/.test(errorMessage)) {
    return new PulsarError('SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE', problem, {
      kind: 'permanent',
      remedy: 'Send a reference to the content, or split it.',
      topic,
    });
  }
  const [, code, details] = MEANINGS.find(([text]) => text.test(errorMessage)) ?? [
    undefined,
    'SMARTPULSE_PULSAR_BROKER' as const,
    { ambiguous: true },
  ];
  return brokerFailure(code, problem, { ...details, topic });
}
