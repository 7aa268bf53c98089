import { describe, expect, it } from 'vitest';
import { sendFailure } from './send-failure.js';

const TOPIC = 'persistent://public/default/t';
const exception = (name: string): string => `org.apache.pulsar.client.api.PulsarClientException$${name}: no`;

describe('what the broker answers to a message by WebSocket', () => {
  it.each([
    ['TopicTerminatedException', 'SMARTPULSE_PULSAR_TOPIC_TERMINATED', 'permanent', false],
    ['ProducerQueueIsFullError', 'SMARTPULSE_PULSAR_BROKER', 'backpressure', false],
    ['ProducerBlockedQuotaExceededException', 'SMARTPULSE_PULSAR_BACKLOG_QUOTA', 'backpressure', false],
    ['ProducerFencedException', 'SMARTPULSE_PULSAR_PRODUCER_FENCED', 'recreate', true],
    ['TimeoutException', 'SMARTPULSE_PULSAR_TIMEOUT', 'transient', true],
    ['NotAllowedException', 'SMARTPULSE_PULSAR_NOT_ALLOWED', 'permanent', false],
    ['SomethingNewException', 'SMARTPULSE_PULSAR_BROKER', 'transient', true],
  ])('%s has a code and a kind, and says whether the message may be stored', (name, code, kind, ambiguous) => {
    expect(sendFailure(TOPIC, 'send-error:1', exception(name))).toMatchObject({ code, kind, ambiguous, topic: TOPIC });
  });
});
