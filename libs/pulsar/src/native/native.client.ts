/**
 * The part of `pulsar-client` 1.18 that we use, declared here: the package is optional, and its own types would have to be installed to compile.
 */
export interface NativeModule {
  readonly Client: new (options: NativeClientOptions) => NativeClient;
  readonly AuthenticationToken: new (options: { readonly token: string | (() => string | Promise<string>) }) => unknown;
}

export interface NativeClientOptions {
  readonly serviceUrl: string;
  readonly authentication?: unknown;
  readonly operationTimeoutSeconds: number;
  readonly connectionTimeoutMs: number;
  readonly tlsTrustCertsFilePath?: string;
  readonly tlsCertificateFilePath?: string;
  readonly tlsPrivateKeyFilePath?: string;
  readonly tlsValidateHostname?: boolean;
  /** Called for each line; the default prints at INFO. */
  readonly log?: (level: number, file: string, line: number, message: string) => void;
  readonly logLevel?: number;
}

export interface NativeClient {
  createProducer(options: NativeProducerOptions): Promise<NativeProducer>;
  subscribe(options: NativeConsumerOptions): Promise<NativeConsumer>;
  getPartitionsForTopic(topic: string): Promise<readonly string[]>;
  close(): Promise<unknown>;
}

export interface NativeProducerOptions {
  readonly topic: string;
  readonly producerName?: string;
  readonly sendTimeoutMs: number;
  readonly maxPendingMessages: number;
  readonly maxPendingMessagesAcrossPartitions: number;
  readonly batchingEnabled: boolean;
  readonly batchingMaxMessages: number;
  readonly batchingMaxAllowedSizeInBytes: number;
  readonly batchingMaxPublishDelayMs: number;
  readonly batchingType: 'KeyBasedBatching' | 'DefaultBatching';
  readonly messageRoutingMode: 'RoundRobinDistribution';
  readonly hashingScheme: 'JavaStringHash';
  readonly compressionType: 'None' | 'LZ4' | 'ZSTD' | 'SNAPPY';
}

export interface NativeProducer {
  send(message: NativeOutgoing): Promise<NativeId>;
  flush(): Promise<unknown>;
  close(): Promise<unknown>;
}

export interface NativeOutgoing {
  readonly data: Buffer;
  readonly partitionKey?: string;
  readonly orderingKey?: string;
  readonly properties?: Record<string, string>;
  readonly eventTimestamp?: number;
  readonly deliverAt?: number;
  readonly sequenceId?: number;
}

export interface NativeConsumerOptions {
  readonly topic: string;
  readonly subscription: string;
  readonly subscriptionType: 'Exclusive' | 'Failover' | 'Shared' | 'KeyShared';
  readonly subscriptionInitialPosition: 'Earliest' | 'Latest';
  readonly consumerName?: string;
  readonly receiverQueueSize: number;
  readonly nAckRedeliverTimeoutMs: number;
  readonly batchIndexAckEnabled: boolean;
}

export interface NativeConsumer {
  /** Without an argument: with one it takes a thread of the pool for as long as it waits. */
  receive(): Promise<NativeMessage>;
  acknowledgeId(id: NativeId): Promise<unknown>;
  acknowledgeCumulativeId(id: NativeId): Promise<unknown>;
  negativeAcknowledgeId(id: NativeId): void;
  unsubscribe(): Promise<unknown>;
  close(): Promise<unknown>;
}

export interface NativeMessage {
  getTopicName(): string;
  getProperties(): object;
  getData(): Buffer;
  getMessageId(): NativeId;
  getPublishTimestamp(): number;
  getEventTimestamp(): number;
  getRedeliveryCount(): number;
  getPartitionKey(): string;
  getOrderingKey(): string;
  getProducerName(): string;
}

export interface NativeId {
  toString(): string;
}
