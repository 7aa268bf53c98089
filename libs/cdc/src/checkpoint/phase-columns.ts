import { isResyncReason } from '../sink/resync-reason.js';
import type { CheckpointPhase } from './checkpoint.store.js';

/** A phase as columns of a table. */
export interface PhaseColumns {
  readonly phase: string;
  readonly reason: string | null;
  readonly version: bigint;
  readonly cursorVersion: bigint | null;
  readonly cursorKey: string | null;
}

/** The columns of a phase. */
export function columnsOf(phase: CheckpointPhase): PhaseColumns {
  return phase.kind === 'bootstrap'
    ? {
        phase: phase.kind,
        reason: phase.reason,
        version: phase.fromVersion,
        cursorVersion: null,
        cursorKey: phase.afterKey,
      }
    : {
        phase: phase.kind,
        reason: null,
        version: phase.version,
        cursorVersion: phase.cursor?.version ?? null,
        cursorKey: phase.cursor?.key ?? null,
      };
}

/** The phase of columns, or the reason that this version does not know. */
export function phaseOf(columns: PhaseColumns): CheckpointPhase | { readonly unknownReason: string } {
  const { phase, reason, version, cursorVersion, cursorKey } = columns;
  if (phase !== 'bootstrap') {
    const cursor = cursorVersion === null || cursorKey === null ? null : { version: cursorVersion, key: cursorKey };
    return { kind: 'streaming', version, cursor };
  }
  const known = reason ?? '';
  return isResyncReason(known)
    ? { kind: 'bootstrap', reason: known, fromVersion: version, afterKey: cursorKey }
    : { unknownReason: known };
}
