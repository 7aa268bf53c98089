import { type Clock } from '@smartpulse/resilience';
import { type TableTracking } from '../tracking/table-tracking.js';
import { type Database } from './database.js';
import { LockManager } from './locks.js';
import { type RowSlot } from './row-slot.js';
import { type Snapshot } from './snapshot.js';
import { Transaction, type TransactionOptions } from './transaction.js';

/** Begins, commits and rolls back; gives out snapshots and keeps what they need. */
export class TransactionManager {
  readonly locks: LockManager;
  readonly #databases = new Set<Database>();
  readonly #snapshots = new Set<Snapshot>();
  /** Rows with images that only open snapshots need. */
  readonly #outdated = new Set<RowSlot>();
  #sequence = 1n;
  #metadataSequence = 1n;
  #lastDescriptor = 0n;

  constructor(readonly clock: Clock) {
    this.locks = new LockManager(clock);
  }

  /** The last commit, of all databases. */
  get sequence(): bigint {
    return this.#sequence;
  }

  /** The last change of metadata: plans from before are void. */
  get metadataSequence(): bigint {
    return this.#metadataSequence;
  }

  adopt(database: Database): void {
    this.#databases.add(database);
  }

  release(database: Database): void {
    this.#databases.delete(database);
  }

  begin(options: Omit<TransactionOptions, 'descriptor'>): Transaction {
    this.#lastDescriptor += 1n;
    return new Transaction({ ...options, descriptor: this.#lastDescriptor });
  }

  /** The moment that the transaction goes on seeing; the first call decides it. */
  snapshotOf(transaction: Transaction): Snapshot {
    if (transaction.snapshot === undefined) {
      const databases = [...this.#databases];
      const snapshot: Snapshot = {
        sequence: this.#sequence,
        versions: new Map(databases.map((database) => [database, database.changeTracking.version])),
        logs: new Map(databases.flatMap((database) => database.trackedLogs())),
      };
      transaction.snapshot = snapshot;
      this.#snapshots.add(snapshot);
    }
    return transaction.snapshot;
  }

  /** Makes the work of the transaction visible. Each database whose tracked tables it touched moves its counter by one. */
  commit(transaction: Transaction): void {
    if (transaction.written.size === 0 && transaction.changes.length === 0) {
      this.#end(transaction);
      return;
    }
    this.#sequence += 1n;
    const oldest = this.#oldestSnapshot();
    for (const slot of transaction.written) {
      slot.commit(this.#sequence, oldest);
      this.#outdated.add(slot);
    }
    this.#tellChanges(transaction);
    this.#end(transaction);
  }

  rollback(transaction: Transaction): void {
    transaction.undoTo(0);
    this.#end(transaction);
  }

  /** A change of metadata: snapshots from before may not touch what changed. */
  nextSequence(): bigint {
    this.#sequence += 1n;
    this.#metadataSequence = this.#sequence;
    return this.#sequence;
  }

  #tellChanges({ changes }: Transaction): void {
    const versions = new Map<TableTracking, bigint>();
    for (const database of this.#databases) {
      const tracked = new Set(database.trackedLogs().map(([tracking]) => tracking));
      if (changes.some(({ tracking }) => tracked.has(tracking))) {
        const version = database.changeTracking.commit(this.clock.now());
        tracked.forEach((tracking) => versions.set(tracking, version));
      }
    }
    for (const change of changes) {
      const version = versions.get(change.tracking);
      if (version !== undefined) {
        change.tracking.append(version, change);
      }
    }
  }

  #end(transaction: Transaction): void {
    transaction.end();
    if (transaction.snapshot !== undefined) {
      this.#snapshots.delete(transaction.snapshot);
    }
    const oldest = this.#oldestSnapshot();
    if (this.#snapshots.size === 0) {
      for (const slot of this.#outdated) {
        slot.prune(oldest);
        slot.table.vacate(slot);
      }
      this.#outdated.clear();
    }
  }

  #oldestSnapshot(): bigint {
    let oldest = this.#sequence;
    for (const { sequence } of this.#snapshots) {
      oldest = sequence < oldest ? sequence : oldest;
    }
    return oldest;
  }
}
