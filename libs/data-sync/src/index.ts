export type { ApplyStats } from './apply/apply.stats.js';
export { DataSync, type DataSyncParts } from './committed/data-sync.js';
export { DataSyncCoreModule } from './data-sync.core.module.js';
export {
  InvalidInstantError,
  InvalidKeyTextError,
  KeyNotFromPrimaryKeyError,
  MalformedCheckpointError,
  MalformedEnvelopeError,
  NotQuietError,
  OutboxRowError,
  RowNotReadableError,
  StampSourceSilentError,
  SyncNotRegisteredError,
  UnencodableValueError,
  UntrustedStampError,
} from './data-sync.errors.js';
export { DataSyncModule } from './data-sync.module.js';
export {
  DATA_SYNC_DEFAULTS,
  type DataSyncFeatureOptions,
  type DataSyncModuleAsyncOptions,
  type DataSyncOptions,
} from './data-sync.options.js';
export { DATA_SYNC_INSTRUMENTS } from './data-sync.telemetry.js';
export { OnChange, type OnChangeOptions } from './decorators/on-change.decorator.js';
export { OnResync, type OnResyncOptions } from './decorators/on-resync.decorator.js';
export {
  type ChangeContract,
  type ChangeContractOptions,
  defineChange,
  type PrimaryKeyOf,
  type RowOf,
  type WireKey,
} from './definition/change-contract.js';
export {
  defineSync,
  type SyncDefinition,
  type SyncOptions,
  type SyncRole,
  type SyncShape,
} from './definition/sync-definition.js';
export { utcDay, utcInstant } from './definition/utc-instant.js';
export type { ChangeEnvelope, EnvelopeChange, EnvelopeKind, WireValue } from './envelope/change-envelope.js';
export { ENVELOPE_PROPERTIES } from './envelope/envelope-properties.js';
export { decodeEnvelope, encodeEnvelope } from './envelope/envelope.codec.js';
export { envelopeCodec } from './envelope/envelope.pulsar.codec.js';
export { ChannelPollSignal, type ChannelPollSignalOptions } from './nudge/channel.poll-signal.js';
export type { ChangeFeedStats } from './on-change/change-feed.stats.js';
export type { FeedResync, KeyChange, KeyChanges } from './on-change/key-changes.js';
export {
  defineOutbox,
  type OutboxColumns,
  type OutboxDefinition,
  type OutboxEvent,
  type OutboxOptions,
  type OutboxRow,
  type RelayedContract,
} from './outbox/outbox-definition.js';
export { OUTBOX_ID_PROPERTY, OutboxRelay, type OutboxStats } from './outbox/outbox-relay.change.sink.js';
export { OutsideCopy } from './outside/outside-copy.js';
export { RecordCheckpointStore } from './outside/record.checkpoint.store.js';
export { withOutsideCopy } from './outside/with-outside-copy.js';
export type { PublishStats } from './publish/publish.stats.js';
export { toEntryVersion } from './read/entry-version.mapping.js';
export { type SyncRead, SyncReader } from './read/sync.reader.js';
export { DataSyncHealthProbe } from './supervise/data-sync.health-probe.js';
export type { DataSyncStats, HandlerStats, OutboxRelayStats, SyncStats } from './supervise/data-sync.stats.js';
export { DistributedDataSyncService, type QuietOptions } from './supervise/distributed-data-sync.service.js';
export type { LagSnapshot } from './supervise/lag.histogram.js';
