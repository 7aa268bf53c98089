import { type ChangeVersion, compareChangeVersions } from '../change/change-version.js';
import type { PrimaryKey, Row, RowChange } from '../change/row-change.js';
import type { FeedEvent, HandOff } from '../sink/change.sink.js';

interface Entry {
  readonly stamp: ChangeVersion;
  /** `null` = deleted. */
  readonly row: Row | null;
}

const BEGINNING: ChangeVersion = { epoch: -1n, version: -1n };

/**
 * The rule by which a reader keeps a table, for tests: a change counts when its (epoch, version) is not below the row's; a complete
 * resync sweeps what is stamped below its start, and nothing below that comes back.
 */
export class TableFold {
  readonly #entries = new Map<string, Entry>();
  readonly #keyOf: (primaryKey: PrimaryKey) => string;
  #resyncFrom: ChangeVersion = BEGINNING;
  #floor: ChangeVersion = BEGINNING;

  constructor(keyOf: (primaryKey: PrimaryKey) => string) {
    this.#keyOf = keyOf;
  }

  /** The rows that it has now, by key. */
  get rows(): ReadonlyMap<string, Row> {
    const present = new Map<string, Row>();
    for (const [key, { row }] of this.#entries) {
      if (row !== null) {
        present.set(key, row);
      }
    }
    return present;
  }

  /** The highest stamp that is certain for a key: its own, or that of the last complete resync. */
  stampOf(key: string): ChangeVersion {
    const own = this.#entries.get(key)?.stamp ?? BEGINNING;
    return compareChangeVersions(own, this.#floor) < 0 ? this.#floor : own;
  }

  accept(changes: readonly RowChange[]): void {
    for (const { primaryKey, version, row } of changes) {
      const key = this.#keyOf(primaryKey);
      if (compareChangeVersions(version, this.stampOf(key)) >= 0) {
        this.#entries.set(key, { stamp: version, row });
      }
    }
  }

  announce(event: FeedEvent, { epoch }: Pick<HandOff, 'epoch'>): void {
    if (event.kind === 'resyncStarted') {
      const from = { epoch, version: event.fromVersion };
      this.#resyncFrom = compareChangeVersions(from, this.#resyncFrom) > 0 ? from : this.#resyncFrom;
    } else if (event.kind === 'resyncCompleted') {
      this.#floor = this.#resyncFrom;
      this.#entries.forEach(({ stamp }, key) => {
        if (compareChangeVersions(stamp, this.#floor) < 0) {
          this.#entries.delete(key);
        }
      });
    }
  }
}
