import { type SqlValue } from '../../seam.js';
import { type Lockable, type LockMode } from './locks.js';
import { type Transaction } from './transaction.js';

/** Values in the order of the columns. Never changed: an update is another row. */
export type Row = readonly SqlValue[];

/** The place of one key: its committed images, and what a transaction has made of it and not committed. */
export class RowSlot implements Lockable {
  readonly holders = new Map<Transaction, Set<LockMode>>();
  #pending: { readonly by: Transaction; readonly row: Row | undefined } | undefined;
  /** Oldest first; `row` undefined = deleted. */
  #images: { readonly sequence: bigint; readonly row: Row | undefined }[] = [];

  constructor(
    readonly key: string,
    readonly table: { readonly vacate: (slot: RowSlot) => void },
  ) {}

  /** The transaction with an uncommitted image, if any. */
  get writer(): Transaction | undefined {
    return this.#pending?.by;
  }

  /** The commit that made the latest image; 0 when there is none. */
  get lastSequence(): bigint {
    return this.#images.at(-1)?.sequence ?? 0n;
  }

  /** What the transaction itself sees: its own image, else the last committed one. */
  latestFor(transaction: Transaction): Row | undefined {
    return this.#pending?.by === transaction ? this.#pending.row : this.committed();
  }

  /** The last committed image. */
  committed(): Row | undefined {
    return this.#images.at(-1)?.row;
  }

  /** Uncommitted work of anybody, else the last committed image. */
  dirty(): Row | undefined {
    return this.#pending === undefined ? this.committed() : this.#pending.row;
  }

  /** The image as of a commit. */
  asOf(sequence: bigint): Row | undefined {
    return this.#images.findLast((image) => image.sequence <= sequence)?.row;
  }

  write(transaction: Transaction, row: Row | undefined): void {
    const before = this.#pending;
    this.#pending = { by: transaction, row };
    transaction.written.add(this);
    transaction.willUndo(() => {
      this.#pending = before;
      if (before === undefined) {
        transaction.written.delete(this);
      }
    });
  }

  /** Keeps what a snapshot from `oldestSnapshot` on may still ask for. */
  commit(sequence: bigint, oldestSnapshot: bigint): void {
    if (this.#pending !== undefined) {
      this.#images.push({ sequence, row: this.#pending.row });
      this.#pending = undefined;
    }
    this.prune(oldestSnapshot);
  }

  /** Forgets images that no snapshot from `oldestSnapshot` on can ask for. */
  prune(oldestSnapshot: bigint): void {
    const needed = this.#images.findLastIndex((image) => image.sequence <= oldestSnapshot);
    this.#images = this.#images.slice(Math.max(0, needed));
  }

  /** Nobody can see a row here any more. */
  get empty(): boolean {
    return this.#pending === undefined && this.holders.size === 0 && this.#images.every(({ row }) => row === undefined);
  }

  /** The last committed image in another shape, after a change of columns. */
  reshape(change: (row: Row) => Row): void {
    this.#images = this.#images.map(({ sequence, row }) => ({ sequence, row: row && change(row) }));
    if (this.#pending?.row !== undefined) {
      this.#pending = { by: this.#pending.by, row: change(this.#pending.row) };
    }
  }
}
