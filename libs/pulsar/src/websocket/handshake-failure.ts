import { PulsarError, type PulsarErrorCode } from '../pulsar.errors.js';
import { brokerFailure, type BrokerFailureCode } from '../transport/broker-failure.js';
import type { Endpoint } from './websocket.endpoint.js';

const ENTITIES: Readonly<Record<string, string | undefined>> = Object.freeze({
  quot: '"',
  apos: "'",
  lt: '<',
  gt: '>',
  amp: '&',
  nbsp: ' ',
});

/** The first that fits decides: a status together with what the broker's page says. */
const MEANINGS: readonly (readonly [status: number, text: RegExp, code: BrokerFailureCode])[] = [
  [401, /./, 'SMARTPULSE_PULSAR_AUTHENTICATION'],
  [403, /./, 'SMARTPULSE_PULSAR_AUTHORIZATION'],
  [404, /./, 'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND'],
  [408, /./, 'SMARTPULSE_PULSAR_TIMEOUT'],
  [409, /schema/i, 'SMARTPULSE_PULSAR_INCOMPATIBLE_SCHEMA'],
  [409, /producer.*fenced/i, 'SMARTPULSE_PULSAR_PRODUCER_FENCED'],
  // A subscription is fenced while it is deleted or moves: that passes.
  [409, /fenced/i, 'SMARTPULSE_PULSAR_BROKER'],
  [500, /IllegalArgumentException|topic name/i, 'SMARTPULSE_PULSAR_INVALID_TOPIC'],
  [503, /terminated/i, 'SMARTPULSE_PULSAR_TOPIC_TERMINATED'],
  [503, /quota/i, 'SMARTPULSE_PULSAR_BACKLOG_QUOTA'],
  [504, /./, 'SMARTPULSE_PULSAR_TIMEOUT'],
];
const MAX_SHOWN = 300;

/** What the broker's page says: the text after `MESSAGE:`, or nothing. */
export function pageMessage(body: string): string {
  const text = body
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined) {
        return ENTITIES[name.toLowerCase()] ?? whole;
      }
      const point = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
      return point <= 0x10_ff_ff ? String.fromCodePoint(point) : whole;
    })
    .replace(/\s+/g, ' ');
  const found = /MESSAGE:\s*(.*?)\s*(?:SERVLET:|CAUSED BY:|STATUS:|Powered by|$)/i.exec(text);
  return (found?.[1] ?? '').slice(0, MAX_SHOWN);
}

/** The error of a handshake that the broker refused. */
export function handshakeFailure(status: number, body: string, endpoint: Endpoint): PulsarError {
  const { topic, role } = endpoint;
  const message = pageMessage(body);
  const what = topic === undefined ? 'a connection' : `a ${role} on ${topic}`;
  const problem = `The broker refused ${what} with status ${status}${message === '' ? '' : `: ${message}`}.`;
  if (status === 404 && (message === '' || message === 'Not Found')) {
    return refused(
      'SMARTPULSE_PULSAR_INVALID_OPTIONS',
      problem,
      topic,
      'The address serves no WebSocket API: correct it, or enable webSocketServiceEnabled on the broker.',
    );
  }
  if (status === 409 && /different type/i.test(message)) {
    return refused(
      'SMARTPULSE_PULSAR_SUBSCRIPTION_MISMATCH',
      problem,
      topic,
      'Subscribe with the type that the subscription has, or use another subscription.',
    );
  }
  if (status === 400) {
    return /topic/i.test(message)
      ? brokerFailure('SMARTPULSE_PULSAR_INVALID_TOPIC', problem, { topic })
      : refused('SMARTPULSE_PULSAR_INVALID_OPTIONS', problem, topic, 'Correct what the broker names.');
  }
  const text = message === '' ? ' ' : message;
  const code =
    MEANINGS.find(([of, pattern]) => of === status && pattern.test(text))?.[2] ??
    (status === 409 ? busy(role) : 'SMARTPULSE_PULSAR_BROKER');
  return brokerFailure(code, problem, { topic });
}

function busy(role: Endpoint['role']): BrokerFailureCode {
  return role === 'producer' ? 'SMARTPULSE_PULSAR_PRODUCER_BUSY' : 'SMARTPULSE_PULSAR_CONSUMER_BUSY';
}

function refused(code: PulsarErrorCode, problem: string, topic: string | undefined, remedy: string): PulsarError {
  return new PulsarError(code, problem, { kind: 'permanent', remedy, topic });
}
