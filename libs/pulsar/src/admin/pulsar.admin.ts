import { Inject, Injectable } from '@nestjs/common';
import { Clock, ConfigurationError } from '@smartpulse/resilience';
import { PulsarConnection } from '../connection/pulsar.connection.js';
import { PulsarError } from '../pulsar.errors.js';
import { PULSAR_OPTIONS, type ResolvedPulsarOptions } from '../pulsar.options.js';
import { namespaceProblem } from '../transport/topic-name.js';
import type {
  AdminCall,
  AdminCapabilities,
  BrokerAdmin,
  NamespacePolicies,
  PeekedMessage,
  TopicReport,
} from './broker-admin.js';
import { restAdmin } from './rest.admin.js';

/**
 * A broker's administration: tenants, namespaces and their policies, topics, subscriptions. Over the admin API at `adminUrl`; on `memory://` the
 * broker of the process itself, as far as {@link capabilities} say. Topics go by short or full names, namespaces as `tenant/namespace`.
 *
 * Every rejection is a `PulsarError` whose code says what the status of the answer means: `AUTHENTICATION` (401), `AUTHORIZATION` (403), `NOT_FOUND`
 * (404), `CONFLICT` (409), `NOT_ALLOWED` (412 and the rest of 4xx), `BROKER` (5xx, and 412 where no broker owns the topic yet), `CONNECTION` and
 * `TIMEOUT` when nobody answers; and `SMARTPULSE_PULSAR_NO_ADMIN` without an `adminUrl`.
 *
 * @example
 * ```ts
 * const { subscriptions } = await admin.topicReport('orders');
 * await admin.skip('orders', 'billing', 1); // the message that blocks it
 * ```
 */
@Injectable()
export class PulsarAdmin {
  readonly #connection: PulsarConnection;
  readonly #port: BrokerAdmin | undefined;

  constructor(
    @Inject(PulsarConnection) connection: PulsarConnection,
    @Inject(PULSAR_OPTIONS) options: ResolvedPulsarOptions,
    @Inject(Clock) clock: Clock,
  ) {
    this.#connection = connection;
    this.#port =
      options.adminUrl === undefined ? connection.transport.admin : overHttp(options.adminUrl, options, clock);
  }

  /** Whether there is an administration to ask. */
  get available(): boolean {
    return this.#port !== undefined;
  }

  /** What can be done. @throws PulsarError without an `adminUrl`. */
  get capabilities(): AdminCapabilities {
    return this.#broker().capabilities;
  }

  async tenants(call: AdminCall = {}): Promise<readonly string[]> {
    return this.#broker().listTenants(call);
  }

  /** Makes a tenant that all clusters may serve. */
  async createTenant(tenant: string, call: AdminCall = {}): Promise<void> {
    await this.#broker().createTenant(tenant, call);
  }

  async namespaces(tenant: string, call: AdminCall = {}): Promise<readonly string[]> {
    return this.#broker().listNamespaces(tenant, call);
  }

  async createNamespace(namespace: string, call: AdminCall = {}): Promise<void> {
    await this.#broker().createNamespace(checked(namespace), call);
  }

  /** The policies that a namespace has of its own. */
  async policies(namespace: string, call: AdminCall = {}): Promise<NamespacePolicies> {
    return this.#broker().policies(checked(namespace), call);
  }

  /** Sets retention, deduplication, time to live and backlog quota of a namespace, those that are given. */
  async setPolicies(namespace: string, policies: NamespacePolicies, call: AdminCall = {}): Promise<void> {
    await this.#broker().setPolicies(checked(namespace), policies, call);
  }

  /** The full names of a namespace's topics; a partitioned one once. */
  async topics(namespace: string = this.#connection.namespace, call: AdminCall = {}): Promise<readonly string[]> {
    return this.#broker().listTopics(checked(namespace), call);
  }

  /** How many partitions a topic has: 0 = it is not partitioned, `undefined` = there is no such topic. */
  async partitions(topic: string, call: AdminCall = {}): Promise<number | undefined> {
    return this.#broker().partitions(this.#name(topic), call);
  }

  /** @param partitions 0 = not partitioned. */
  async createTopic(topic: string, partitions = 0, call: AdminCall = {}): Promise<void> {
    await this.#broker().createTopic(this.#name(topic), count('partitions', partitions, 0), call);
  }

  /** Gives a partitioned topic more partitions: keys then go to others than before. There is no way back. */
  async growTopic(topic: string, partitions: number, call: AdminCall = {}): Promise<void> {
    await this.#broker().growTopic(this.#name(topic), count('partitions', partitions, 1), call);
  }

  /** @param options `force`: also under producers and consumers; default `false`. */
  async deleteTopic(topic: string, options: AdminCall & { readonly force?: boolean } = {}): Promise<void> {
    await this.#broker().deleteTopic(this.#name(topic), options.force ?? false, options);
  }

  /** No message is taken any more; what is stored is still delivered. There is no way back. */
  async terminateTopic(topic: string, call: AdminCall = {}): Promise<void> {
    await this.#broker().terminateTopic(this.#name(topic), call);
  }

  /** Has the broker give the topic up and take it again: connections are made anew. */
  async unloadTopic(topic: string, call: AdminCall = {}): Promise<void> {
    await this.#broker().unloadTopic(this.#name(topic), call);
  }

  /** A topic's figures with those of its subscriptions. */
  async topicReport(topic: string, call: AdminCall = {}): Promise<TopicReport> {
    return this.#broker().topicReport(this.#name(topic), call);
  }

  /** What a subscription has not acknowledged; `undefined` when there is no such topic or subscription. */
  async backlog(topic: string, subscription: string, call: AdminCall = {}): Promise<number | undefined> {
    try {
      const { subscriptions } = await this.topicReport(topic, call);
      return subscriptions.find(({ name }) => name === subscription)?.backlog;
    } catch (error) {
      if (PulsarError.is(error) && error.code === 'SMARTPULSE_PULSAR_NOT_FOUND') {
        return undefined;
      }
      throw error;
    }
  }

  /** Deletes a subscription with its cursor. @param options `force`: also under consumers; default `false`. */
  async deleteSubscription(
    topic: string,
    subscription: string,
    options: AdminCall & { readonly force?: boolean } = {},
  ): Promise<void> {
    await this.#broker().deleteSubscription(this.#name(topic), subscription, options.force ?? false, options);
  }

  /** Acknowledges the oldest messages of a subscription unread. @param messages `all`: its whole backlog. */
  async skip(topic: string, subscription: string, messages: number | 'all', call: AdminCall = {}): Promise<void> {
    const given = messages === 'all' ? messages : count('messages', messages, 1);
    await this.#broker().skip(this.#name(topic), subscription, given, call);
  }

  /** The oldest messages that a subscription has not acknowledged, without taking them. Not of a partitioned topic as a whole: name a partition. */
  async peek(
    topic: string,
    subscription: string,
    messages = 1,
    call: AdminCall = {},
  ): Promise<readonly PeekedMessage[]> {
    return this.#broker().peek(this.#name(topic), subscription, count('messages', messages, 1), call);
  }

  /** Sets a subscription's cursor to what was published at that time or later, milliseconds since the Unix epoch; its consumers connect anew. */
  async resetCursor(topic: string, subscription: string, timeMs: number, call: AdminCall = {}): Promise<void> {
    await this.#broker().resetCursor(this.#name(topic), subscription, count('timeMs', timeMs, 0), call);
  }

  #broker(): BrokerAdmin {
    if (this.#port === undefined) {
      throw new PulsarError('SMARTPULSE_PULSAR_NO_ADMIN', 'There is no way to the administration of the broker.', {
        kind: 'permanent',
        remedy: 'Set adminUrl of PulsarModule.forRoot, such as http://host:8080.',
      });
    }
    return this.#port;
  }

  #name(topic: string): string {
    return this.#connection.topicName(topic);
  }
}

function overHttp(adminUrl: string, options: ResolvedPulsarOptions, clock: Clock): BrokerAdmin {
  const { operationTimeoutMs, tls, token } = options;
  return restAdmin(adminUrl, { token, tls, timeoutMs: operationTimeoutMs, clock });
}

function checked(namespace: string): string {
  const problem = namespaceProblem(namespace);
  if (problem !== undefined) {
    throw new ConfigurationError('PulsarAdmin', [{ option: 'namespace', problem }]);
  }
  return namespace;
}

function count(option: string, value: number, least: number): number {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new ConfigurationError('PulsarAdmin', [{ option, problem: `expected a whole number from ${least}` }]);
  }
  return value;
}
