export { changeSinkContract, type ChangeSinkHarness } from './change-sink.contract.js';
export {
  changeSourceContract,
  type ChangeSourceHarness,
  type ContractTransaction,
  ENTRY_TABLE,
  STOCK_TABLE,
} from './change-source.contract.js';
export { checkpointStoreContract, type CheckpointStoreHarness } from './checkpoint-store.contract.js';
export { InMemoryChangeSource, type InMemoryBackup } from './in-memory.change-source.js';
export { InMemoryCheckpointStore } from './in-memory.checkpoint-store.js';
export type { InMemoryTable, InMemoryTransaction, LogEntry, TrackedTable } from './in-memory.database.js';
export { InProcessLeadership } from './in-process.leadership.js';
export { leadershipContract, type LeadershipHarness } from './leadership.contract.js';
export { pollSignalContract, type PollSignalHarness } from './poll-signal.contract.js';
export { type Recorded, RecordingSink } from './recording.sink.js';
export { stampedReaderContract, type StampedReaderHarness } from './stamped-reader.contract.js';
export { TableFold } from './table-fold.js';
export { LAB_TABLE, TrackerLab } from './tracker-lab.js';
