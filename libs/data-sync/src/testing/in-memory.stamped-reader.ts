import { type ChangeVersion, type Row, type Stamped, StampedReader } from '@smartpulse/cdc';
import type { InMemoryChangeSource } from '@smartpulse/cdc/testing';

/** What work reads with: one snapshot of the database. */
export interface InMemorySnapshot {
  /** A table's rows, by the source's own key text. */
  rows(table: string): ReadonlyMap<string, Row>;
}

/** Reads an in-memory database with its stamp, both of one instant. */
export class InMemoryStampedReader extends StampedReader<InMemorySnapshot> {
  override readonly isolation = 'snapshot';
  readonly #source: InMemoryChangeSource;

  constructor(source: InMemoryChangeSource) {
    super();
    this.#source = source;
  }

  override async read<T>(work: (manager: InMemorySnapshot) => Promise<T>): Promise<Stamped<T>> {
    const stamp = this.#stamp();
    const { tables } = this.#source.backUp();
    return { stamp, value: await work({ rows: (table) => tables.get(table)?.rows ?? new Map<string, Row>() }) };
  }

  override current(): Promise<ChangeVersion> {
    return Promise.resolve(this.#stamp());
  }

  #stamp(): ChangeVersion {
    return { epoch: this.#source.epoch, version: this.#source.version };
  }
}
