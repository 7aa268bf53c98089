import type { ChangeCursor } from '../source/change.source.js';
import type { ResyncReason } from '../sink/change.sink.js';

/** What a tracker was doing. */
export type CheckpointPhase =
  | {
      readonly kind: 'bootstrap';
      readonly reason: ResyncReason;
      /** The version that the scan started from; streaming begins after it. */
      readonly fromVersion: bigint;
      /** The last key scanned, in the source's text; `null` = none yet. */
      readonly afterKey: string | null;
    }
  | {
      readonly kind: 'streaming';
      /** Everything at or below is handed off. */
      readonly version: bigint;
      /** The place inside the next version; `null` = between versions. */
      readonly cursor: ChangeCursor | null;
    };

/** A tracker's position: per consumer, source and table. */
export interface Checkpoint {
  readonly consumer: string;
  readonly source: string;
  readonly table: string;
  readonly epoch: bigint;
  readonly objectId: string;
  readonly beginVersion: bigint;
  readonly schemaHash: string;
  /** The sink that accepted everything up to here. */
  readonly sinkInstance: string;
  /**
   * When the position was the database's version last, in milliseconds since 1970 by the clock of whoever saved; during a bootstrap: when its
   * `fromVersion` was. `null` = not known.
   */
  readonly upToDateAtMs: number | null;
  readonly phase: CheckpointPhase;
}

/** Names a checkpoint. */
export type CheckpointKey = Pick<Checkpoint, 'consumer' | 'source' | 'table'>;

/** `fenced` = a newer holder has written; the writer must stop. */
export type SaveOutcome = 'saved' | 'fenced';

/**
 * Where positions are kept, as a port.
 *
 * An implementer guarantees: `save` is atomic and durable when it resolves (if {@link durable}); a `save` with a fence below the
 * stored one changes nothing and answers `fenced`.
 */
export abstract class CheckpointStore {
  abstract readonly durable: boolean;
  abstract load(key: CheckpointKey): Promise<Checkpoint | undefined>;
  abstract save(checkpoint: Checkpoint, fence: bigint): Promise<SaveOutcome>;
}
