import { type SqlValue } from '../../seam.js';
import { type Change, type ChangeRecord } from './change.js';

/** Change tracking of one table: when it began, how far it is cleaned up, and the log. */
export class TableTracking {
  readonly tracksColumns: boolean;
  #beginVersion: bigint;
  #cleanupVersion = 0n;
  /** In the order of versions. Grows in place; clean-up and truncate put another in its place. */
  #log: Change[] = [];
  /** How each key was first written: a rewrite that only changes case keeps it. */
  #spellings = new Map<string, readonly SqlValue[]>();

  constructor(options: { readonly tracksColumns: boolean; readonly beginVersion: bigint }) {
    this.tracksColumns = options.tracksColumns;
    this.#beginVersion = options.beginVersion;
  }

  get beginVersion(): bigint {
    return this.#beginVersion;
  }

  get cleanupVersion(): bigint {
    return this.#cleanupVersion;
  }

  /** A reader whose position is below has lost changes. */
  get minValidVersion(): bigint {
    return this.#beginVersion > this.#cleanupVersion ? this.#beginVersion : this.#cleanupVersion;
  }

  get log(): readonly Change[] {
    return this.#log;
  }

  append(version: bigint, record: ChangeRecord): void {
    const keyValues = this.#spellings.get(record.key) ?? record.keyValues;
    this.#spellings.set(record.key, keyValues);
    const { operation, key, columns, context } = record;
    this.#log.push({ version, operation, key, keyValues, columns, context });
  }

  /** Forgets changes up to and including a version. Never goes back. */
  cleanUp(upTo: bigint): void {
    if (upTo > this.#cleanupVersion) {
      this.#cleanupVersion = upTo;
      this.#log = this.#log.filter(({ version }) => version > upTo);
      this.#spellings = new Map(this.#log.map(({ key, keyValues }) => [key, keyValues]));
    }
  }

  /** Truncate: the log is empty, and what was before cannot be told any more. */
  restart(version: bigint): void {
    this.#beginVersion = version;
    this.#log = [];
    this.#spellings = new Map();
  }

  /** The same tracking, to go on from elsewhere: a backup. */
  copy(): TableTracking {
    const copy = new TableTracking({ tracksColumns: this.tracksColumns, beginVersion: this.#beginVersion });
    copy.#cleanupVersion = this.#cleanupVersion;
    copy.#log = [...this.#log];
    copy.#spellings = new Map(this.#spellings);
    return copy;
  }
}
