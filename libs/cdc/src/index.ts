export { CdcCoreModule } from './cdc.core.module.js';
export {
  CheckpointExpiredError,
  DuplicateTrackerError,
  EpochNotRaisedError,
  PortContractError,
  PrimaryKeyMissingError,
  ResyncRequiredError,
  TableNotFoundError,
  TableNotTrackedError,
  TrackerNotLeadingError,
  UnknownTrackerError,
} from './cdc.errors.js';
export { CdcHealthProbe } from './cdc.health-probe.js';
export { CdcModule } from './cdc.module.js';
export type { CdcModuleAsyncOptions, CdcModuleOptions, FeatureTracker } from './cdc.options.js';
export { CDC_INSTRUMENTS } from './cdc.telemetry.js';
export { type ChangeVersion, compareChangeVersions } from './change/change-version.js';
export type { ChangeOperation, ColumnValue, PrimaryKey, Row, RowChange } from './change/row-change.js';
export {
  type Checkpoint,
  type CheckpointKey,
  type CheckpointPhase,
  CheckpointStore,
  type SaveOutcome,
} from './checkpoint/checkpoint.store.js';
export { type FeedEventHandler, OnFeedEvent } from './decorators/on-feed-event.decorator.js';
export {
  OnTableChange,
  type OnTableChangeOptions,
  type SingleChangeHandler,
  type TableChangeHandler,
} from './decorators/on-table-change.decorator.js';
export { type Lease, Leadership } from './leadership/leadership.js';
export { InProcessPollSignal } from './poll/in-process.poll-signal.js';
export { PollSignal } from './poll/poll-signal.js';
export { CdcRegistry } from './registry/cdc.registry.js';
export { isResyncReason } from './sink/resync-reason.js';
export {
  type AcceptOutcome,
  ChangeSink,
  type FeedEvent,
  type HandOff,
  type LostPosition,
  type ResyncReason,
} from './sink/change.sink.js';
export {
  type ChangeCursor,
  type ChangePage,
  ChangeSource,
  type ChunkRequest,
  type FailureKind,
  type PageRequest,
  type SourceState,
  type TableChunk,
  type TableDescription,
  type TableState,
} from './source/change.source.js';
export { type Stamped, StampedReader } from './stamp/stamped.reader.js';
export { ChangeTracker, type PollListener, type TrackerParts } from './tracker/change-tracker.js';
export {
  type BootstrapMode,
  type PoisonHandler,
  type PoisonTuning,
  type ResolvedTrackerOptions,
  TRACKER_DEFAULTS,
  type TrackerDefaults,
  type TrackerOptions,
  type TrackerTuning,
} from './tracker/tracker.options.js';
export type { ErrorTally } from './tracker/tracker-tally.js';
export type { TrackerCounts, TrackerSnapshot, TrackerState } from './tracker/tracker.state.js';
