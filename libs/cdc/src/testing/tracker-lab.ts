import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { InProcessPollSignal } from '../poll/in-process.poll-signal.js';
import { CdcRegistry } from '../registry/cdc.registry.js';
import type { ChangeTracker } from '../tracker/change-tracker.js';
import type { TrackerOptions } from '../tracker/tracker.options.js';
import { InMemoryChangeSource } from './in-memory.change-source.js';
import { InMemoryCheckpointStore } from './in-memory.checkpoint-store.js';
import { InProcessLeadership } from './in-process.leadership.js';
import { RecordingSink } from './recording.sink.js';

/** The table that a {@link TrackerLab} follows: `id` is its key, `level` its other column. */
export const LAB_TABLE = 'dbo.stock';

/**
 * A tracked database, a sink and everything between them in memory on a virtual clock, for tests of trackers and sinks.
 *
 * @example
 * ```ts
 * const lab = new TrackerLab();
 * lab.write(1);
 * lab.track().start();
 * await lab.clock.until(() => lab.sink.changes.length === 1);
 * ```
 */
export class TrackerLab {
  readonly clock = new VirtualClock();
  readonly random = new SeededRandom();
  readonly source = new InMemoryChangeSource('db', [
    { table: LAB_TABLE, primaryKey: ['id'], columns: ['id', 'level'] },
    { table: 'dbo.other', primaryKey: ['id'] },
  ]);
  readonly checkpoints = new InMemoryCheckpointStore();
  readonly leadership = new InProcessLeadership();
  readonly pollSignal = new InProcessPollSignal();
  readonly sink = new RecordingSink();

  /** Another replica: a registry of its own on the same database, store and leadership. */
  registry(): CdcRegistry {
    const { source, checkpoints, leadership, pollSignal, clock, random } = this;
    return new CdcRegistry({ source, checkpoints, leadership, pollSignal, clock, random });
  }

  /** A tracker of {@link LAB_TABLE} into {@link sink}, not started. */
  track(options: Partial<TrackerOptions> = {}, registry: CdcRegistry = this.registry()): ChangeTracker {
    return registry.track({ consumer: 'lab', table: LAB_TABLE, sink: this.sink, ...options });
  }

  /** Commits one row, or several with one version. */
  write(...ids: readonly number[]): bigint {
    return this.source.commit((tx) => ids.forEach((id) => tx.upsert(LAB_TABLE, { id, level: id * 10 })));
  }

  /** Deletes rows with one version. */
  remove(...ids: readonly number[]): bigint {
    return this.source.commit((tx) => ids.forEach((id) => tx.delete(LAB_TABLE, { id })));
  }

  /** Moves the database's version without touching the table. */
  writeElsewhere(): bigint {
    return this.source.commit((tx) => tx.upsert('dbo.other', { id: 1 }));
  }

  /** Lets time pass until the tracker is at the database's version. */
  async caughtUp(tracker: ChangeTracker): Promise<void> {
    await this.clock.until(() => {
      const { kind } = tracker.state;
      return kind === 'streaming' && tracker.snapshot().version === this.source.version;
    });
  }
}
