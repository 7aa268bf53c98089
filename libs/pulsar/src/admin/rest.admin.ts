import { BatchReader } from '@smartpulse/pulsar-wire';
import { z } from 'zod';
import { PulsarError } from '../pulsar.errors.js';
import { brokerFailure } from '../transport/broker-failure.js';
import { AdminHttp, type AdminHttpOptions, type AdminRequest, type AdminResponse } from './admin-http.js';
import {
  type AdminCall,
  type AdminCapabilities,
  BrokerAdmin,
  type NamespacePolicies,
  type PeekedMessage,
  type SubscriptionReport,
  type TopicReport,
} from './broker-admin.js';

const CAPABILITIES: AdminCapabilities = Object.freeze({
  tenants: true,
  policies: true,
  partitions: true,
  cursorReset: true,
});

const names = z.array(z.string());
const metadata = z.object({ partitions: z.number() });
const retention = z.object({ retentionTimeInMinutes: z.number(), retentionSizeInMB: z.number() });
const quotas = z.record(
  z.string(),
  z.object({
    limitSize: z.number().optional(),
    limit: z.number().optional(),
    policy: z.enum(['producer_request_hold', 'producer_exception', 'consumer_backlog_eviction']),
  }),
);
const stats = z.object({
  publishers: z.array(z.unknown()),
  storageSize: z.number(),
  metadata: metadata.optional(),
  subscriptions: z.record(
    z.string(),
    z.object({
      msgBacklog: z.number(),
      unackedMessages: z.number().optional(),
      type: z.string().optional(),
      isDurable: z.boolean().optional(),
      durable: z.boolean().optional(),
      consumers: z.array(z.unknown()),
    }),
  ),
});

/**
 * The administration of a broker by its admin API, outside an app; in one, inject `PulsarAdmin`.
 *
 * @param url `http://host:8080` or `https://host:8443`, several after commas.
 * @throws TypeError when one is no URL.
 */
export function restAdmin(url: string, options: Omit<AdminHttpOptions, 'urls'>): BrokerAdmin {
  const urls = url.split(',').map((one) => new URL(one.trim()));
  return new RestAdmin(new AdminHttp({ ...options, urls }));
}

/** A broker's administration over its REST API, by version 2 of it. */
export class RestAdmin extends BrokerAdmin {
  readonly #http: AdminHttp;

  readonly name = 'rest';
  readonly capabilities = CAPABILITIES;

  constructor(http: AdminHttp) {
    super();
    this.#http = http;
  }

  override listTenants(call: AdminCall): Promise<readonly string[]> {
    return this.#read(names, { method: 'GET', path: '/tenants', ...call });
  }

  override async createTenant(tenant: string, call: AdminCall): Promise<void> {
    const allowedClusters = await this.#read(names, { method: 'GET', path: '/clusters', ...call });
    const body = { adminRoles: [], allowedClusters: allowedClusters.filter((cluster) => cluster !== 'global') };
    await this.#http.send({ method: 'PUT', path: `/tenants/${encodeURIComponent(tenant)}`, body, ...call });
  }

  override listNamespaces(tenant: string, call: AdminCall): Promise<readonly string[]> {
    return this.#read(names, { method: 'GET', path: `/namespaces/${encodeURIComponent(tenant)}`, ...call });
  }

  override async createNamespace(namespace: string, call: AdminCall): Promise<void> {
    await this.#http.send({ method: 'PUT', path: `/namespaces/${namespace}`, ...call });
  }

  override async policies(namespace: string, call: AdminCall): Promise<NamespacePolicies> {
    const get = <T>(schema: z.ZodType<T>, name: string): Promise<T | undefined> =>
      this.#read(
        schema.nullish().transform((value) => value ?? undefined),
        {
          method: 'GET',
          path: `/namespaces/${namespace}/${name}`,
          ...call,
        },
      );
    const [kept, deduplication, ttl, quota] = await Promise.all([
      get(retention, 'retention'),
      get(z.boolean(), 'deduplication'),
      get(z.number(), 'messageTTL'),
      get(quotas, 'backlogQuotaMap'),
    ]);
    const stored = quota?.['destination_storage'];
    return {
      retention: kept && { minutes: kept.retentionTimeInMinutes, megabytes: kept.retentionSizeInMB },
      deduplication,
      messageTtlSeconds: ttl,
      backlogQuota: stored && { limitBytes: stored.limitSize ?? stored.limit ?? -1, policy: stored.policy },
    };
  }

  override async setPolicies(namespace: string, policies: NamespacePolicies, call: AdminCall): Promise<void> {
    const { retention: kept, deduplication, messageTtlSeconds, backlogQuota } = policies;
    const post = async (name: string, body: unknown): Promise<void> => {
      await this.#http.send({ method: 'POST', path: `/namespaces/${namespace}/${name}`, body, ...call });
    };
    if (kept !== undefined) {
      await post('retention', { retentionTimeInMinutes: kept.minutes, retentionSizeInMB: kept.megabytes });
    }
    if (deduplication !== undefined) {
      await post('deduplication', deduplication);
    }
    if (messageTtlSeconds !== undefined) {
      await post('messageTTL', messageTtlSeconds);
    }
    if (backlogQuota !== undefined) {
      const { limitBytes, policy } = backlogQuota;
      await post('backlogQuota', { limit: limitBytes, limitSize: limitBytes, policy });
    }
  }

  override async listTopics(namespace: string, call: AdminCall): Promise<readonly string[]> {
    const path = `/persistent/${namespace}`;
    const [single, partitioned] = await Promise.all([
      this.#read(names, { method: 'GET', path, ...call }),
      this.#read(names, { method: 'GET', path: `${path}/partitioned`, ...call }),
    ]);
    const isPartition = (topic: string): boolean => partitioned.includes(topic.replace(/-partition-\d+$/, ''));
    return [...partitioned, ...single.filter((topic) => !isPartition(topic))].toSorted();
  }

  override async partitions(topic: string, call: AdminCall): Promise<number | undefined> {
    try {
      const path = `${pathOf(topic)}/partitions?checkAllowAutoCreation=false`;
      const { partitions } = await this.#read(metadata, { method: 'GET', path, topic, ...call });
      if (partitions > 0) {
        return partitions;
      }
      // Older brokers say 0 of what there is not, too.
      await this.#http.send({ method: 'GET', path: `${pathOf(topic)}/subscriptions`, topic, ...call });
      return 0;
    } catch (error) {
      if (isMissing(error)) {
        return undefined;
      }
      throw error;
    }
  }

  override async createTopic(topic: string, partitions: number, call: AdminCall): Promise<void> {
    await this.#http.send(
      partitions === 0
        ? { method: 'PUT', path: pathOf(topic), topic, ...call }
        : { method: 'PUT', path: `${pathOf(topic)}/partitions`, body: partitions, topic, ...call },
    );
  }

  override async growTopic(topic: string, partitions: number, call: AdminCall): Promise<void> {
    await this.#http.send({ method: 'POST', path: `${pathOf(topic)}/partitions`, body: partitions, topic, ...call });
  }

  override async deleteTopic(topic: string, force: boolean, call: AdminCall): Promise<void> {
    const partitioned = ((await this.partitions(topic, call)) ?? 0) > 0;
    const path = `${pathOf(topic)}${partitioned ? '/partitions' : ''}?force=${force}`;
    await this.#http.send({ method: 'DELETE', path, topic, ...call });
  }

  override async terminateTopic(topic: string, call: AdminCall): Promise<void> {
    const partitioned = ((await this.partitions(topic, call)) ?? 0) > 0;
    const path = `${pathOf(topic)}/terminate${partitioned ? '/partitions' : ''}`;
    await this.#http.send({ method: 'POST', path, topic, ...call });
  }

  override async unloadTopic(topic: string, call: AdminCall): Promise<void> {
    await this.#http.send({ method: 'PUT', path: `${pathOf(topic)}/unload`, topic, ...call });
  }

  override async topicReport(topic: string, call: AdminCall): Promise<TopicReport> {
    const partitions = await this.partitions(topic, call);
    if (partitions === undefined) {
      throw brokerFailure('SMARTPULSE_PULSAR_NOT_FOUND', `There is no topic ${topic}.`, { topic });
    }
    const path = `${pathOf(topic)}/${partitions > 0 ? 'partitioned-stats?perPartition=false' : 'stats'}`;
    const { publishers, storageSize, subscriptions } = await this.#read(stats, { method: 'GET', path, topic, ...call });
    return {
      partitions,
      producers: publishers.length,
      storedBytes: storageSize,
      subscriptions: Object.entries(subscriptions).map(([name, one]): SubscriptionReport => ({
        name,
        type: one.type,
        durable: one.isDurable ?? one.durable ?? true,
        consumers: one.consumers.length,
        backlog: one.msgBacklog,
        unacked: one.unackedMessages ?? 0,
      })),
    };
  }

  override async deleteSubscription(
    topic: string,
    subscription: string,
    force: boolean,
    call: AdminCall,
  ): Promise<void> {
    const path = `${subscriptionPath(topic, subscription)}?force=${force}`;
    await this.#http.send({ method: 'DELETE', path, topic, ...call });
  }

  override async skip(topic: string, subscription: string, count: number | 'all', call: AdminCall): Promise<void> {
    const path = `${subscriptionPath(topic, subscription)}/${count === 'all' ? 'skip_all' : `skip/${count}`}`;
    await this.#http.send({ method: 'POST', path, topic, ...call });
  }

  override async peek(
    topic: string,
    subscription: string,
    count: number,
    call: AdminCall,
  ): Promise<readonly PeekedMessage[]> {
    // The broker shows an entry of the topic to a subscription that there is not.
    await this.#mustHave(topic, subscription, call);
    const messages: PeekedMessage[] = [];
    for (let position = 1; messages.length < count; position++) {
      const path = `${subscriptionPath(topic, subscription)}/position/${position}`;
      try {
        // oxlint-disable-next-line no-await-in-loop -- the broker shows one entry at a time
        messages.push(...peeked(await this.#http.send({ method: 'GET', path, topic, ...call })));
      } catch (error) {
        if (isMissing(error)) {
          break;
        }
        throw error;
      }
    }
    return messages.slice(0, count);
  }

  override async resetCursor(topic: string, subscription: string, timeMs: number, call: AdminCall): Promise<void> {
    const path = `${subscriptionPath(topic, subscription)}/resetcursor/${Math.trunc(timeMs)}`;
    await this.#http.send({ method: 'POST', path, topic, ...call });
  }

  async #mustHave(topic: string, subscription: string, call: AdminCall): Promise<void> {
    const { subscriptions } = await this.topicReport(topic, call);
    if (!subscriptions.some(({ name }) => name === subscription)) {
      throw brokerFailure('SMARTPULSE_PULSAR_NOT_FOUND', `${topic} has no subscription "${subscription}".`, { topic });
    }
  }

  async #read<T>(schema: z.ZodType<T>, request: AdminRequest): Promise<T> {
    const parsed = schema.safeParse(await this.#http.json(request));
    if (parsed.success) {
      return parsed.data;
    }
    throw brokerFailure(
      'SMARTPULSE_PULSAR_BROKER',
      `${request.method} ${request.path} was answered with something else than this version of the API does.`,
      { topic: request.topic, kind: 'permanent', cause: parsed.error },
    );
  }
}

function pathOf(topic: string): string {
  const path = topic.slice('persistent://'.length).split('/').map(encodeURIComponent).join('/');
  return `/persistent/${path}`;
}

function subscriptionPath(topic: string, subscription: string): string {
  return `${pathOf(topic)}/subscription/${encodeURIComponent(subscription)}`;
}

function isMissing(error: unknown): boolean {
  return PulsarError.is(error) && error.code === 'SMARTPULSE_PULSAR_NOT_FOUND';
}

/** One entry, which may be a batch of messages. */
function peeked({ headers, body }: AdminResponse): readonly PeekedMessage[] {
  const id = String(headers['x-pulsar-message-id'] ?? '');
  const batched = Number(headers['x-pulsar-num-batch-message'] ?? Number.NaN);
  if (!Number.isInteger(batched)) {
    const key = headers['x-pulsar-partition-key'];
    return [{ id, key: typeof key === 'string' ? key : undefined, properties: propertiesIn(headers), payload: body }];
  }
  const messages: PeekedMessage[] = [];
  const batch = new BatchReader(body, batched);
  for (let one = batch.next(); one !== undefined; one = batch.next()) {
    messages.push({
      id: `${id}:${one.index}`,
      key: one.metadata.partitionKey,
      properties: { ...one.metadata.properties },
      payload: one.payload,
    });
  }
  return messages;
}

const PROPERTY = 'x-pulsar-property-';

/** Header names lose their case on the way: so do the names of unbatched messages' properties here. */
function propertiesIn(headers: AdminResponse['headers']): Readonly<Record<string, string>> {
  const text = headers['x-pulsar-property'];
  const parsed: unknown = typeof text === 'string' && text.startsWith('{') ? JSON.parse(text) : undefined;
  if (typeof parsed === 'object' && parsed !== null) {
    return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, String(value)]));
  }
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      name.startsWith(PROPERTY) && typeof value === 'string' ? [[name.slice(PROPERTY.length), value]] : [],
    ),
  );
}
