import { type ChangeVersion, compareChangeVersions } from '../change/change-version.js';
import type { PrimaryKey, Row, RowChange } from '../change/row-change.js';
import type { FeedEvent, HandOff } from '../sink/change.sink.js';

interface Entry {
  readonly stamp: ChangeVersion;
  /** `null` = deleted. */
  readonly row: Row | null;
  /** How many resyncs had begun when it was offered last. */
  readonly offeredIn: number;
}

const BEGINNING: ChangeVersion = { epoch: -1n, version: -1n };

/**
 * The rules by which a reader keeps a table, for tests. A change counts when its (epoch, version) is not below the row's. When a resync is
 * complete, every row that is not stamped above its start and was not offered since is gone, and nothing stamped below comes back. After
 * a resync began, hand-offs of earlier holders no longer count: truncate moves no version, so what they read before it looks as new as
 * what the resync reads.
 */
export class TableFold {
  readonly #entries = new Map<string, Entry>();
  readonly #keyOf: (primaryKey: PrimaryKey) => string;
  #resyncs = 0;
  #resyncFrom: ChangeVersion = BEGINNING;
  #fence = -1n;
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

  accept(changes: readonly RowChange[], { fence }: Pick<HandOff, 'fence'>): void {
    if (fence < this.#fence) {
      return;
    }
    for (const { primaryKey, version, row } of changes) {
      const key = this.#keyOf(primaryKey);
      if (compareChangeVersions(version, this.stampOf(key)) >= 0) {
        this.#entries.set(key, { stamp: version, row, offeredIn: this.#resyncs });
      }
    }
  }

  announce(event: FeedEvent, { epoch, fence }: Pick<HandOff, 'epoch' | 'fence'>): void {
    if (fence < this.#fence) {
      return;
    }
    if (event.kind === 'resyncStarted') {
      this.#resyncs += 1;
      this.#fence = fence;
      this.#resyncFrom = { epoch, version: event.fromVersion };
    } else if (event.kind === 'resyncCompleted') {
      this.#floor = this.#resyncFrom;
      this.#entries.forEach(({ stamp, offeredIn }, key) => {
        if (compareChangeVersions(stamp, this.#floor) <= 0 && offeredIn < this.#resyncs) {
          this.#entries.delete(key);
        }
      });
    }
  }
}
