import type { ResyncReason } from '../sink/change.sink.js';
import type { TrackerCounts } from './tracker.state.js';

/** The tracker's sums, in plain integers: the path of every change passes here. */
export class TrackerTally {
  pages = 0;
  changes = 0;
  snapshotRows = 0;
  poison = 0;
  idlePolls = 0;
  nudges = 0;
  heartbeats = 0;
  errors = 0;
  fenced = 0;
  tieDepth = 0;
  readonly resyncs: Partial<Record<ResyncReason, number>> = {};
  /** By the error's class; classes are few. */
  readonly errorsByClass = new Map<string, number>();

  resyncBegan(reason: ResyncReason): void {
    this.resyncs[reason] = (this.resyncs[reason] ?? 0) + 1;
  }

  failed(error: Error): void {
    this.errors += 1;
    const known = this.errorsByClass.has(error.name) || this.errorsByClass.size < 50;
    const name = known ? error.name : 'other';
    this.errorsByClass.set(name, (this.errorsByClass.get(name) ?? 0) + 1);
  }

  counts(): TrackerCounts {
    const { pages, changes, snapshotRows, poison, idlePolls, nudges, heartbeats, errors, fenced } = this;
    return {
      pages,
      changes,
      snapshotRows,
      poison,
      idlePolls,
      nudges,
      heartbeats,
      errors,
      fenced,
      resyncs: { ...this.resyncs },
    };
  }
}
