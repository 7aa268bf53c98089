import {
  type ChangeVersion,
  compareChangeVersions,
  type FeedEvent,
  type HandOff,
  type RowChange,
} from '@smartpulse/cdc';
import type { HistoryTable } from './subjects/tables.js';

interface Entry {
  readonly stamp: ChangeVersion;
  /** `null` = there is no such row. */
  readonly value: number | null;
}

const BEGINNING: ChangeVersion = { epoch: -1n, version: -1n };

/** A load of everything that began at some time; what a sweep has killed since fills nothing. */
export interface Loading {
  readonly sweeps: number;
}

/**
 * What a cache knows of one table, by the rules of synchronised namespaces: only loads create, with the stamp that was read before their data;
 * changes refresh what is there, or drop it, and raise the floor of what is not; a resync sweeps.
 */
export class View {
  readonly #table: HistoryTable;
  readonly #entries = new Map<number, Entry>();
  readonly #floors = new Map<number, ChangeVersion>();
  #swept: ChangeVersion = BEGINNING;
  #sweeps = 0;

  constructor(
    table: HistoryTable,
    readonly onChange: 'refresh' | 'invalidate',
  ) {
    this.#table = table;
  }

  /** What it would answer now. */
  get values(): ReadonlyMap<number, number | null> {
    return new Map([...this.#entries].map(([key, { value }]) => [key, value]));
  }

  begin(): Loading {
    return { sweeps: this.#sweeps };
  }

  loaded(loading: Loading, stamp: ChangeVersion, values: ReadonlyMap<number, number | null>): void {
    if (loading.sweeps !== this.#sweeps) {
      return;
    }
    for (const [key, value] of values) {
      const least = this.#entries.get(key)?.stamp ?? this.#floors.get(key) ?? BEGINNING;
      if (compareChangeVersions(stamp, this.#swept) >= 0 && compareChangeVersions(stamp, least) >= 0) {
        this.#entries.set(key, { stamp, value });
      }
    }
  }

  changed(changes: readonly RowChange[]): void {
    for (const { primaryKey, version, row } of changes) {
      const key = this.#table.keyOf(primaryKey);
      const entry = this.#entries.get(key);
      if (entry === undefined || (this.onChange === 'invalidate' && isBelow(entry.stamp, version))) {
        this.#entries.delete(key);
        const floor = this.#floors.get(key) ?? BEGINNING;
        this.#floors.set(key, isBelow(floor, version) ? version : floor);
      } else if (isBelow(entry.stamp, version)) {
        this.#entries.set(key, { stamp: version, value: valueIn(row) });
      }
    }
  }

  announced(event: FeedEvent, { epoch }: Pick<HandOff, 'epoch'>): void {
    if (event.kind === 'resyncStarted') {
      const from = { epoch, version: event.fromVersion };
      this.#sweeps += 1;
      this.#swept = isBelow(this.#swept, from) ? from : this.#swept;
      this.#entries.forEach(({ stamp }, key) => isBelow(from, stamp) || this.#entries.delete(key));
    }
  }
}

/** The column `value` of a row that is there. */
export function valueIn(row: RowChange['row'] | undefined): number | null {
  return row === null || row === undefined ? null : Number(row['value']);
}

function isBelow(a: ChangeVersion, b: ChangeVersion): boolean {
  return compareChangeVersions(a, b) < 0;
}
