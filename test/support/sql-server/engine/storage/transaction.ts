import { type SqlIsolation } from '../../seam.js';
import { noSuchSavepoint } from '../errors/transaction-faults.js';
import { type PendingChange } from '../tracking/change.js';
import { type Lockable } from './locks.js';
import { type RowSlot } from './row-slot.js';
import { type Snapshot } from './snapshot.js';

/** What a transaction needs from its surroundings. */
export interface TransactionOptions {
  readonly descriptor: bigint;
  readonly sessionId: number;
  readonly isolation: SqlIsolation;
  readonly deadlockPriority: number;
}

/** Work that is committed or undone as one. Undo is a list of steps, so a savepoint and a failed statement are a length of it. */
export class Transaction {
  readonly descriptor: bigint;
  readonly sessionId: number;
  readonly startedUnder: SqlIsolation;
  readonly deadlockPriority: number;
  readonly locked = new Set<Lockable>();
  /** Rows with an uncommitted image of this transaction. */
  readonly written = new Set<RowSlot>();
  /** Changes of tracked tables, in the order in which they were made. */
  readonly changes: PendingChange[] = [];
  /** Set at the first access to data under snapshot isolation. */
  snapshot: Snapshot | undefined;
  /** An error under XACT_ABORT leaves it open, but only to be rolled back. */
  doomed = false;

  readonly #undo: (() => void)[] = [];
  readonly #savepoints: { readonly name: string; readonly mark: number }[] = [];
  readonly #onEnd = new Set<() => void>();
  #ended = false;

  constructor({ descriptor, sessionId, isolation, deadlockPriority }: TransactionOptions) {
    this.descriptor = descriptor;
    this.sessionId = sessionId;
    this.startedUnder = isolation;
    this.deadlockPriority = deadlockPriority;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** How much would be undone; also the mark for {@link undoTo}. */
  get work(): number {
    return this.#undo.length;
  }

  willUndo(step: () => void): void {
    this.#undo.push(step);
  }

  track(change: PendingChange): void {
    const { length } = this.changes;
    this.changes.push(change);
    this.#undo.push(() => {
      this.changes.length = length;
    });
  }

  undoTo(mark: number): void {
    while (this.#undo.length > mark) {
      this.#undo.pop()?.();
    }
  }

  save(name: string): void {
    this.#savepoints.push({ name: name.toLowerCase(), mark: this.work });
  }

  /** @throws 6401 */
  rollbackTo(name: string): void {
    const at = this.#savepoints.findLastIndex((one) => one.name === name.toLowerCase());
    const savepoint = this.#savepoints[at];
    if (savepoint === undefined) {
      throw noSuchSavepoint(name);
    }
    this.undoTo(savepoint.mark);
    this.#savepoints.length = at + 1;
  }

  /** @returns how to take the callback back. */
  onEnd(callback: () => void): () => void {
    this.#onEnd.add(callback);
    return () => void this.#onEnd.delete(callback);
  }

  /** Gives locks back and wakes who waits. */
  end(): void {
    this.#ended = true;
    for (const target of this.locked) {
      target.holders.delete(this);
    }
    this.locked.clear();
    for (const callback of this.#onEnd) {
      callback();
    }
    this.#onEnd.clear();
  }
}
