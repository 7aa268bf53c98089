export { InMemoryChangeSource, type InMemoryBackup } from './in-memory.change-source.js';
export { InMemoryCheckpointStore } from './in-memory.checkpoint-store.js';
export type { InMemoryTable, InMemoryTransaction, LogEntry, TrackedTable } from './in-memory.database.js';
export { InProcessLeadership } from './in-process.leadership.js';
export { type Recorded, RecordingSink } from './recording.sink.js';
export { TableFold } from './table-fold.js';
