import type { ChangeSource, CheckpointStore } from '@smartpulse/cdc';
import { DoubledCheckpointStore } from './doubled.checkpoint.store.js';
import type { OutsideCopy } from './outside-copy.js';
import { OutsideEpochChangeSource } from './outside-epoch.change.source.js';

/**
 * The parts of change capture with a copy of positions and epoch outside of the database: one that was restored from a backup is noticed, also when its
 * counter has grown past the lost commits again. What it notices begins a new epoch: every table is read anew, and caches are swept of what was lost.
 *
 * @example
 * ```ts
 * CdcModule.forRoot(withOutsideCopy(embeddedCdc(database), outside));
 * ```
 */
export function withOutsideCopy<T extends { readonly source: ChangeSource; readonly checkpoints: CheckpointStore }>(
  parts: T,
  outside: OutsideCopy,
): T {
  const source = new OutsideEpochChangeSource(parts.source, outside);
  return { ...parts, source, checkpoints: new DoubledCheckpointStore(parts.checkpoints, outside, source) };
}
