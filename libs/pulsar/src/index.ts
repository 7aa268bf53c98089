export {
  type AdminCall,
  type AdminCapabilities,
  type BacklogQuotaPolicy,
  BrokerAdmin,
  type NamespacePolicies,
  type PeekedMessage,
  type RetentionPolicy,
  type SubscriptionReport,
  type TopicReport,
} from './admin/broker-admin.js';
export type { AdminHttpOptions } from './admin/admin-http.js';
export type { ProvisionedNamespace, ProvisionedTopic, ProvisionOptions } from './admin/provision-options.js';
export { PulsarAdmin } from './admin/pulsar.admin.js';
export { restAdmin } from './admin/rest.admin.js';
export type {
  AsyncApiChannel,
  AsyncApiDocument,
  AsyncApiInfo,
  AsyncApiMessage,
  AsyncApiOperation,
  AsyncApiReference,
  AsyncApiServer,
  DeclaredEvent,
} from './asyncapi/async-api-document.js';
export type { JsonSchema } from './asyncapi/payload-schema.js';
export { PulsarAsyncApi } from './asyncapi/pulsar.async-api.js';
export { bytesCodec, jsonCodec, type PulsarCodec, textCodec } from './codec/pulsar-codec.js';
export { type ConnectionState, PulsarConnection } from './connection/pulsar.connection.js';
export type {
  ConsumerOptions,
  ConsumerState,
  ConsumerStats,
  DeadLetterOptions,
  MessageHandler,
  PulsarConsumerHandle,
  RetryBackoff,
} from './consumer/consumer-options.js';
export { type BatchItemFailure, BatchItemsFailed } from './consumer/batch/batch-items-failed.js';
export {
  BATCH_HANDLER_DEFAULTS,
  type BatchConsumerOptions,
  type BatchDefaults,
  type BatchHandler,
  type BatchOptions,
  type PulsarBatchContext,
} from './consumer/batch/batch-options.js';
export type { DeliveryMode } from './consumer/delivery.js';
export { PAUSE_ON_DEFAULTS, type PauseOnDefaults, type PauseOnOptions } from './consumer/pause-on.js';
export {
  isPulsarContext,
  type MessageFacts,
  PULSAR_CONTEXT_TYPE,
  type PulsarContext,
} from './consumer/pulsar-context.js';
export { PulsarConsumers } from './consumer/pulsar.consumers.js';
export { PulsarRegistry } from './consumer/pulsar.registry.js';
export type { LaneRetry, RetryOptions, TopicRetry } from './consumer/retry/retry-options.js';
export { ack, deadLetter, nack, type Settlement } from './consumer/settlement.js';
export { Ctx, type ParameterPipe, Payload, Properties } from './decorators/handler-parameters.js';
export { PulsarSubscribe, type PulsarSubscribeOptions } from './decorators/pulsar-subscribe.decorator.js';
export type { OneOrMoreTopics, WithTopics } from './decorators/topics.js';
export {
  PATTERN_DEFAULTS,
  type PatternConsumerOptions,
  type PulsarPatternHandle,
  type TopicsPattern,
} from './consumer/pattern/pattern-options.js';
export { defineEvent, type EventContract, type EventDefinition } from './event/define-event.js';
export {
  IDEMPOTENCY_KEY_PROPERTY,
  type PublishOptions,
  type PublishOutcome,
  type PublishResult,
} from './producer/publish-options.js';
export { PulsarPublisher } from './producer/pulsar.publisher.js';
export type { DeadLetter } from './dead-letters/dead-letter.js';
export { DEAD_LETTER_SUBSCRIPTION } from './dead-letters/letter-keeper.js';
export {
  type DeadLetterTopic,
  type LetterProgress,
  type LetterSelection,
  type LookOptions,
  PulsarDeadLetters,
  type ReplayOptions,
} from './dead-letters/pulsar.dead-letters.js';
export { DEDUPE_DEFAULTS, type DedupeDefaults, type DedupeOptions } from './dedupe/dedupe-options.js';
export { type DedupeClaim, DedupeStore } from './dedupe/dedupe.store.js';
export { MemoryDedupeStore, type MemoryDedupeStoreOptions } from './dedupe/memory.dedupe-store.js';
export { PulsarHealthProbe } from './health/pulsar.health-probe.js';
export { PulsarCoreModule } from './pulsar.core.module.js';
export {
  BacklogQuotaError,
  DedupeUnavailableError,
  ConsumerBusyError,
  HandlerTimeoutError,
  InvalidPayloadError,
  PulsarClosedError,
  PulsarError,
  type PulsarErrorCode,
  type PulsarErrorDetails,
  type PulsarErrorKind,
  TransportUnavailableError,
} from './pulsar.errors.js';
export { PulsarModule } from './pulsar.module.js';
export {
  CONNECTION_DEFAULTS,
  type ConnectionOptions,
  CONSUMER_DEFAULTS,
  type ConsumerDefaults,
  PRODUCER_DEFAULTS,
  STARTUP_DEFAULTS,
  type StartupOptions,
  type ProducerDefaults,
  type PulsarModuleAsyncOptions,
  type PulsarModuleOptions,
  type PulsarTls,
  type PulsarToken,
  TELEMETRY_DEFAULTS,
  type TelemetryOptions,
  type TopicProducerOptions,
} from './pulsar.options.js';
export {
  type IncomingMessage,
  type InitialPosition,
  type MessageId,
  type OutgoingMessage,
  PulsarTransport,
  type SendListener,
  type SubscriptionType,
  type TransportCapabilities,
  type TransportConsumer,
  type TransportConsumerListener,
  type TransportProducer,
  type TransportProducerOptions,
  type TransportSubscribeOptions,
} from './transport/pulsar.transport.js';
export { escapeTopicPart } from './transport/topic-name.js';
