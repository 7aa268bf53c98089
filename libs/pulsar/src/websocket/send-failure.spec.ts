import { describe, expect, it } from 'vitest';
import { sendFailure } from './send-failure.js';

const TOPIC = 'persistent://public/default/t';
const exception = (name: string): string => `org.apache.pulsar.client.api.PulsarClientException$${name}: no`;

describe('what the broker answers to a message by WebSocket', () => {
  it.each([
    ['TopicTerminatedException', 'SMARTPULSE_PULSAR_TOPIC_TERMINATED', 'permanent', true],
    ['ProducerQueueIsFullError', 'SMARTPULSE_PULSAR_BROKER', 'backpressure', false],
    ['ProducerBlockedQuotaExceededException', 'SMARTPULSE_PULSAR_BACKLOG_QUOTA', 'backpressure', true],
    ['ProducerFencedException', 'SMARTPULSE_PULSAR_PRODUCER_FENCED', 'recreate', true],
    ['TimeoutException', 'SMARTPULSE_PULSAR_TIMEOUT', 'transient', true],
    ['IncompatibleSchemaException', 'SMARTPULSE_PULSAR_INCOMPATIBLE_SCHEMA', 'permanent', false],
    ['AuthorizationException', 'SMARTPULSE_PULSAR_AUTHORIZATION', 'permanent', false],
    ['MessageTooBigException', 'SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE', 'permanent', false],
    ['NotAllowedException', 'SMARTPULSE_PULSAR_NOT_ALLOWED', 'permanent', false],
    ['SomethingNewException', 'SMARTPULSE_PULSAR_BROKER', 'transient', true],
  ])('%s has a code and a kind, and says whether the message may be stored', (name, code, kind, ambiguous) => {
    expect(sendFailure(TOPIC, 'send-error:1', exception(name))).toMatchObject({ code, kind, ambiguous, topic: TOPIC });
  });

  it('names the largest message that the broker takes', () => {
    const answer =
      'InvalidMessageException: The producer p sends a uncompressed message with 70000 bytes that exceeds 65536 bytes';
    expect(sendFailure(TOPIC, 'send-error:8', answer)).toMatchObject({
      code: 'SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE',
      kind: 'permanent',
      ambiguous: false,
      message: expect.stringContaining('exceeds 65536 bytes'),
    });
  });
});
