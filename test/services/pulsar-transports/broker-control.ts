import type { BrokerControl } from '@smartpulse/pulsar/testing';
import type { PulsarAdmin } from '../../support/pulsar/admin.js';

/** The controls of a real broker, by its admin API. */
export function brokerControl(admin: PulsarAdmin): BrokerControl {
  return {
    partition: (topic, count) => admin.createTopic(pathOf(topic), count),
    unload: (topic) => admin.unloadTopic(pathOf(topic)),
    terminate: (topic) => admin.terminateTopic(pathOf(topic)),
  };
}

function pathOf(topic: string): string {
  return topic.slice('persistent://'.length);
}
