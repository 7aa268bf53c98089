import {
  type AdminCapabilities,
  BrokerAdmin,
  type NamespacePolicies,
  type PeekedMessage,
  type TopicReport,
} from '../admin/broker-admin.js';
import type { PulsarError } from '../pulsar.errors.js';
import { brokerFailure, unsupported } from '../transport/broker-failure.js';
import type { InProcessBroker } from './in-process.broker.js';
import type { InProcessSubscription } from './in-process.subscription.js';
import type { InProcessTopic } from './in-process.topic.js';

const CAPABILITIES: AdminCapabilities = Object.freeze({
  tenants: false,
  policies: false,
  partitions: false,
  cursorReset: false,
});

/** The administration of an {@link InProcessBroker}: its topics and subscriptions; it has no tenants, policies and partitions. */
export class InProcessAdmin extends BrokerAdmin {
  readonly #broker: InProcessBroker;

  readonly name = 'in-process';
  readonly capabilities = CAPABILITIES;

  constructor(broker: InProcessBroker) {
    super();
    this.#broker = broker;
  }

  override async listTenants(): Promise<readonly string[]> {
    throw lacks('tenants');
  }

  override async createTenant(): Promise<void> {
    throw lacks('tenants');
  }

  override async listNamespaces(): Promise<readonly string[]> {
    throw lacks('namespaces');
  }

  override async createNamespace(): Promise<void> {
    throw lacks('namespaces');
  }

  override async policies(): Promise<NamespacePolicies> {
    throw lacks('policies of namespaces');
  }

  override async setPolicies(): Promise<void> {
    throw lacks('policies of namespaces');
  }

  override async listTopics(namespace: string): Promise<readonly string[]> {
    return this.#broker.topics.filter((topic) => topic.startsWith(`persistent://${namespace}/`)).toSorted();
  }

  override async partitions(topic: string): Promise<number | undefined> {
    return this.#broker.findTopic(topic) === undefined ? undefined : 0;
  }

  override async createTopic(topic: string, partitions: number): Promise<void> {
    if (partitions > 0) {
      throw lacks('partitions', topic);
    }
    if (this.#broker.findTopic(topic) !== undefined) {
      throw brokerFailure('SMARTPULSE_PULSAR_CONFLICT', `There is a topic ${topic} already.`, { topic });
    }
    this.#broker.topic(topic);
  }

  override async growTopic(topic: string): Promise<void> {
    throw lacks('partitions', topic);
  }

  override async deleteTopic(topic: string, force: boolean): Promise<void> {
    const { subscriptions } = this.#topic(topic).stats();
    const consumers = Object.values(subscriptions).reduce((sum, one) => sum + one.consumers, 0);
    if (!force && consumers + this.#topic(topic).producers > 0) {
      throw inUse(topic, 'producers or consumers');
    }
    this.#broker.deleteTopic(topic);
  }

  override async terminateTopic(topic: string): Promise<void> {
    this.#topic(topic).terminate();
  }

  override async unloadTopic(topic: string): Promise<void> {
    this.#topic(topic).returnAll();
  }

  override async topicReport(topic: string): Promise<TopicReport> {
    const found = this.#topic(topic);
    const { bytes, subscriptions } = found.stats();
    return {
      partitions: 0,
      producers: found.producers,
      storedBytes: bytes,
      subscriptions: Object.entries(subscriptions).map(([name, { type, durable, consumers, backlog, unacked }]) => ({
        name,
        type,
        durable,
        consumers,
        backlog,
        unacked,
      })),
    };
  }

  override async deleteSubscription(topic: string, subscription: string, force: boolean): Promise<void> {
    const found = this.#subscription(topic, subscription);
    if (!force && found.consumers > 0) {
      throw inUse(topic, `consumers on subscription "${subscription}"`);
    }
    this.#topic(topic).deleteSubscription(found);
  }

  override async skip(topic: string, subscription: string, count: number | 'all'): Promise<void> {
    this.#subscription(topic, subscription).skip(count === 'all' ? Number.MAX_SAFE_INTEGER : count);
  }

  override async peek(topic: string, subscription: string, count: number): Promise<readonly PeekedMessage[]> {
    return this.#subscription(topic, subscription)
      .peek(count)
      .map(({ id, key, properties, payload }) => ({ id: id.toString(), key, properties, payload }));
  }

  override async resetCursor(topic: string): Promise<void> {
    throw lacks('reset of a cursor', topic);
  }

  #topic(topic: string): InProcessTopic {
    const found = this.#broker.findTopic(topic);
    if (found === undefined) {
      throw brokerFailure('SMARTPULSE_PULSAR_NOT_FOUND', `There is no topic ${topic}.`, { topic });
    }
    return found;
  }

  #subscription(topic: string, subscription: string): InProcessSubscription {
    const found = this.#topic(topic).findSubscription(subscription);
    if (found === undefined) {
      throw brokerFailure('SMARTPULSE_PULSAR_NOT_FOUND', `${topic} has no subscription "${subscription}".`, { topic });
    }
    return found;
  }
}

function inUse(topic: string, who: string): PulsarError {
  return brokerFailure('SMARTPULSE_PULSAR_NOT_ALLOWED', `${topic} has ${who}.`, { topic });
}

function lacks(what: string, topic?: string): PulsarError {
  return unsupported('in-process', what, topic);
}
