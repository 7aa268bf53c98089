import type { ResyncReason } from './change.sink.js';

// A record, so that the compiler misses one that is added to the type.
const REASONS: Readonly<Record<ResyncReason, true>> = Object.freeze({
  firstStart: true,
  requested: true,
  newSinkInstance: true,
  checkpointExpired: true,
  tableTruncated: true,
  tableReplaced: true,
  schemaChanged: true,
  epochChanged: true,
  sourceRolledBack: true,
});

/** Whether a text that was stored is a reason that this version knows. */
export function isResyncReason(text: string): text is ResyncReason {
  return Object.hasOwn(REASONS, text);
}
