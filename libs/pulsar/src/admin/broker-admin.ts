/** How one call behaves. */
export interface AdminCall {
  /** Gives up waiting; what was asked of the broker may happen all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** Acknowledged messages are kept until either bound is passed; −1 = no bound. */
export interface RetentionPolicy {
  /** Whole minutes; the broker knows no finer ones. */
  readonly minutes: number;
  /** Whole MiB. */
  readonly megabytes: number;
}

/** What happens when messages that a subscription has not acknowledged fill the topic. */
export interface BacklogQuotaPolicy {
  readonly limitBytes: number;
  /** `producer_request_hold`: sends wait; `producer_exception`: they are refused; `consumer_backlog_eviction`: the oldest messages are dropped. */
  readonly policy: 'producer_request_hold' | 'producer_exception' | 'consumer_backlog_eviction';
}

/** The policies of a namespace that can be set; `undefined` where it has none of its own and the broker's hold. */
export interface NamespacePolicies {
  readonly retention?: RetentionPolicy | undefined;
  /** Whether `sequenceId`s are stored once. */
  readonly deduplication?: boolean | undefined;
  /** Messages that are not acknowledged for so long are dropped, whole seconds. 0 = never. */
  readonly messageTtlSeconds?: number | undefined;
  readonly backlogQuota?: BacklogQuotaPolicy | undefined;
}

/** A subscription's figures. */
export interface SubscriptionReport {
  readonly name: string;
  /** As it is shared; `undefined` while nobody ever consumed. */
  readonly type: string | undefined;
  readonly durable: boolean;
  readonly consumers: number;
  /** What is not acknowledged. A broker counts entries: a batch is one. */
  readonly backlog: number;
  /** Messages with consumers, not acknowledged. */
  readonly unacked: number;
}

/** A topic's figures, of all its partitions together. */
export interface TopicReport {
  /** 0 = not partitioned. */
  readonly partitions: number;
  readonly producers: number;
  readonly storedBytes: number;
  readonly subscriptions: readonly SubscriptionReport[];
}

/** A message that was looked at. */
export interface PeekedMessage {
  readonly id: string;
  readonly key: string | undefined;
  readonly properties: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
}

/** What an adapter of {@link BrokerAdmin} can do. */
export interface AdminCapabilities {
  /** There are tenants and namespaces to list and make. */
  readonly tenants: boolean;
  /** Namespaces have policies. */
  readonly policies: boolean;
  /** Topics may have partitions. */
  readonly partitions: boolean;
  /** A cursor can be set to a time. */
  readonly cursorReset: boolean;
}

/**
 * A broker's administration, as a port. Topics go by their full names. Every rejection is a `PulsarError`: `NOT_FOUND` for what there is not, `CONFLICT` for what
 * there is already, `NOT_ALLOWED` for what is refused as things are, `UNSUPPORTED` for what {@link capabilities} deny.
 */
export abstract class BrokerAdmin {
  /** The adapter's name: `rest`, `in-process`. */
  abstract readonly name: string;
  abstract readonly capabilities: AdminCapabilities;

  abstract listTenants(call: AdminCall): Promise<readonly string[]>;
  abstract createTenant(tenant: string, call: AdminCall): Promise<void>;
  abstract listNamespaces(tenant: string, call: AdminCall): Promise<readonly string[]>;
  abstract createNamespace(namespace: string, call: AdminCall): Promise<void>;
  abstract policies(namespace: string, call: AdminCall): Promise<NamespacePolicies>;
  /** Sets those that are given, one after the other. */
  abstract setPolicies(namespace: string, policies: NamespacePolicies, call: AdminCall): Promise<void>;

  /** Full names; a partitioned topic once, without its partitions. */
  abstract listTopics(namespace: string, call: AdminCall): Promise<readonly string[]>;
  /** 0 = not partitioned, `undefined` = no such topic. */
  abstract partitions(topic: string, call: AdminCall): Promise<number | undefined>;
  /** @param partitions 0 = not partitioned. */
  abstract createTopic(topic: string, partitions: number, call: AdminCall): Promise<void>;
  abstract growTopic(topic: string, partitions: number, call: AdminCall): Promise<void>;
  /** @param force also under producers and consumers. */
  abstract deleteTopic(topic: string, force: boolean, call: AdminCall): Promise<void>;
  abstract terminateTopic(topic: string, call: AdminCall): Promise<void>;
  abstract unloadTopic(topic: string, call: AdminCall): Promise<void>;
  abstract topicReport(topic: string, call: AdminCall): Promise<TopicReport>;

  /** @param force also under consumers. */
  abstract deleteSubscription(topic: string, subscription: string, force: boolean, call: AdminCall): Promise<void>;
  /** Acknowledges the oldest messages unread. @param count `all`: the whole backlog. */
  abstract skip(topic: string, subscription: string, count: number | 'all', call: AdminCall): Promise<void>;
  /** The oldest messages that are not acknowledged, without taking them. */
  abstract peek(topic: string, subscription: string, count: number, call: AdminCall): Promise<readonly PeekedMessage[]>;
  /** Sets the cursor to the first message published at that time or later, milliseconds since the Unix epoch. */
  abstract resetCursor(topic: string, subscription: string, timeMs: number, call: AdminCall): Promise<void>;
}
