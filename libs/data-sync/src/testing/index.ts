export { DataSyncHarness, HarnessReplica, type HarnessOptions, type ReplicaOptions } from './data-sync.harness.js';
export { InMemoryStampedReader, type InMemorySnapshot } from './in-memory.stamped-reader.js';
export { changeEnvelope, incomingMessage, messageContext, resyncEnvelope } from './messages.js';
export { handOff, rowChange } from './row-changes.js';
export { type RecordedMessage, RecordingPublisher } from './recording.publisher.js';
export { ScriptedStampedReader } from './scripted.stamped-reader.js';
export { SilentInvalidationBus } from './silent.invalidation-bus.js';
