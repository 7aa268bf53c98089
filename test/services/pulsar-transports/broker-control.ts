import type { BrokerControl, OperatorAct } from '@smartpulse/pulsar/testing';
import type { PulsarAdmin } from '../../support/pulsar/admin.js';

/** A real broker can do all of it. */
export const OPERATOR_ACTS: readonly OperatorAct[] = ['partitions', 'moves', 'ends', 'deletes', 'tenants', 'missing'];

/** Where the broker makes no topic by itself. */
const STRICT = 'public/strict';

/** The controls of a real broker, by its admin API. */
export function brokerControl(admin: PulsarAdmin): BrokerControl {
  return {
    partition: (topic, count) => admin.createTopic(pathOf(topic), count),
    remove: (topic) => admin.deleteTopic(pathOf(topic)),
    unload: (topic) => admin.unloadTopic(pathOf(topic)),
    terminate: (topic) => admin.terminateTopic(pathOf(topic)),
    missing: async () => {
      await admin.createNamespace(STRICT);
      await admin.forbidTopicCreation(STRICT);
      return `persistent://${STRICT}/missing`;
    },
    create: (topic) => admin.createTopic(pathOf(topic)),
  };
}

function pathOf(topic: string): string {
  return topic.slice('persistent://'.length);
}
