/** An answer of the admin API. */
export interface AdminAnswer {
  readonly status: number;
  readonly text: string;
}

/** What the tests read of a topic's statistics. */
export interface TopicStats {
  readonly deduplicationStatus?: string;
  /** Bytes that the topic takes on the disk. */
  readonly storageSize: number;
  readonly publishers: readonly { readonly producerName?: string }[];
  readonly subscriptions: Readonly<
    Record<string, { readonly msgBacklog: number; readonly consumers: readonly unknown[]; readonly type?: string }>
  >;
}

const TIMEOUT_MS = 15_000;

/** The admin API over plain HTTP, as far as tests need it. Topics are named `tenant/namespace/topic` here, always persistent. */
export class PulsarAdmin {
  readonly #url: string;
  readonly #cluster: string;
  readonly #token: string | undefined;

  /** @param token - of a superuser, where the broker authenticates */
  constructor(url: string, cluster: string, token?: string) {
    this.#url = url;
    this.#cluster = cluster;
    this.#token = token;
  }

  /** The same API with another token, or with none. */
  withToken(token: string | undefined): PulsarAdmin {
    return new PulsarAdmin(this.#url, this.#cluster, token);
  }

  /** Any request, `path` after the port. Follows redirects to the owner of a bundle; an unwelcome status is no error. */
  async request(method: string, path: string, body?: unknown): Promise<AdminAnswer> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: {
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { status: response.status, text: await response.text() };
  }

  /** Whether the broker wrote and read a message of its own just now. A broker that cannot be reached is not healthy. */
  async isHealthy(): Promise<boolean> {
    const answer = await this.#whenReached('/admin/v2/brokers/health');
    return answer?.status === 200 && answer.text === 'ok';
  }

  /**
   * Whether the broker says who owns a topic. In a cluster it is healthy before it does: its health check asks for a
   * namespace of its own, which no load manager gives out.
   */
  async answersLookups(): Promise<boolean> {
    const answer = await this.#whenReached('/lookup/v2/topic/persistent/public/default/ready');
    return answer?.status === 200;
  }

  async createTenant(tenant: string): Promise<void> {
    await this.#done('PUT', `/admin/v2/tenants/${tenant}`, { adminRoles: [], allowedClusters: [this.#cluster] });
  }

  async createNamespace(namespace: string): Promise<void> {
    await this.#done('PUT', `/admin/v2/namespaces/${namespace}`);
  }

  /** From now on producers and consumers make no topic of the namespace by asking for it. */
  async forbidTopicCreation(namespace: string): Promise<void> {
    await this.#done('POST', `/admin/v2/namespaces/${namespace}/autoTopicCreation`, { allowAutoTopicCreation: false });
  }

  /** @param partitions - left out: not partitioned */
  async createTopic(topic: string, partitions?: number): Promise<void> {
    const path = `/admin/v2/persistent/${topic}`;
    await (partitions === undefined ? this.#done('PUT', path) : this.#done('PUT', `${path}/partitions`, partitions));
  }

  /** Deletes the topic under whoever is connected to it. */
  async deleteTopic(topic: string): Promise<void> {
    await this.#done('DELETE', `/admin/v2/persistent/${topic}?force=true`);
  }

  /** No message can be added from now on. */
  async terminateTopic(topic: string): Promise<void> {
    await this.#done('POST', `/admin/v2/persistent/${topic}/terminate`);
  }

  /** The broker closes producers and consumers of the topic and gives up its ownership; a lookup brings it back. */
  async unloadTopic(topic: string): Promise<void> {
    await this.#done('PUT', `/admin/v2/persistent/${topic}/unload`);
  }

  async listTopics(namespace: string): Promise<readonly string[]> {
    return JSON.parse(await this.#done('GET', `/admin/v2/persistent/${namespace}`)) as readonly string[];
  }

  async topicStats(topic: string): Promise<TopicStats> {
    return JSON.parse(await this.#done('GET', `/admin/v2/persistent/${topic}/stats`)) as TopicStats;
  }

  /** Messages count as entries: one per batch. Duplicates that the broker dropped are no entries, though its message counters count them. */
  async entries(topic: string): Promise<number> {
    const stats = await this.#done('GET', `/admin/v2/persistent/${topic}/internalStats`);
    return (JSON.parse(stats) as { numberOfEntries: number }).numberOfEntries;
  }

  /** Lets a role act on a namespace. */
  async grant(namespace: string, role: string, actions: readonly ('produce' | 'consume')[]): Promise<void> {
    await this.#done('POST', `/admin/v2/namespaces/${namespace}/permissions/${role}`, actions);
  }

  /** Takes it back; producers and consumers of the role are told to go. */
  async revoke(namespace: string, role: string): Promise<void> {
    await this.#done('DELETE', `/admin/v2/namespaces/${namespace}/permissions/${role}`);
  }

  /** The service URL of the broker that owns the topic; one takes it when none does. */
  async ownerOf(topic: string): Promise<string> {
    const answer = JSON.parse(await this.#done('GET', `/lookup/v2/topic/persistent/${topic}`)) as { brokerUrl: string };
    return answer.brokerUrl;
  }

  /** The range of hashes of its namespace that a topic belongs to, as `0x…_0x…`. */
  async bundleOf(topic: string): Promise<string> {
    return this.#done('GET', `/lookup/v2/topic/persistent/${topic}/bundle`);
  }

  /** Gives a bundle away. @param destination - `host:port` of the web service of the broker that takes it; left out: any */
  async unloadBundle(namespace: string, bundle: string, destination?: string): Promise<void> {
    const query = destination === undefined ? '' : `?destinationBroker=${destination}`;
    await this.#done('PUT', `/admin/v2/namespaces/${namespace}/${bundle}/unload${query}`);
  }

  async #whenReached(path: string): Promise<AdminAnswer | undefined> {
    try {
      return await this.request('GET', path);
    } catch (error) {
      if (error instanceof TypeError || (error instanceof DOMException && error.name === 'TimeoutError')) {
        return undefined;
      }
      throw error;
    }
  }

  async #done(method: string, path: string, body?: unknown): Promise<string> {
    const { status, text } = await this.request(method, path, body);
    if (status < 200 || status > 299) {
      throw new Error(`${method} ${path} was answered with ${status}: ${text}`);
    }
    return text;
  }
}
