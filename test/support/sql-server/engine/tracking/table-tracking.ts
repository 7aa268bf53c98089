import { type Change, type ChangeRecord } from './change.js';

/** Change tracking of one table: when it began, how far it is cleaned up, and the log. */
export class TableTracking {
  readonly tracksColumns: boolean;
  #beginVersion: bigint;
  #cleanupVersion = 0n;
  /** What clean-up said will go, before it went. */
  #invalidVersion = 0n;
  /** In the order of versions. Grows in place; clean-up and truncate put another in its place. */
  #log: Change[] = [];
  /** The last change of each key in the log. How a key was first written stays: a rewrite that only changes case keeps it. */
  #lasts = new Map<string, Change>();

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
    const cleaned = this.#cleanupVersion > this.#invalidVersion ? this.#cleanupVersion : this.#invalidVersion;
    return this.#beginVersion > cleaned ? this.#beginVersion : cleaned;
  }

  get log(): readonly Change[] {
    return this.#log;
  }

  append(version: bigint, record: ChangeRecord): void {
    const { operation, key, columns, context } = record;
    const previous = this.#lasts.get(key);
    const keyValues = previous?.keyValues ?? record.keyValues;
    const change: Change = { version, operation, key, keyValues, columns, context, previous, next: undefined };
    if (previous !== undefined) {
      previous.next = change;
    }
    this.#lasts.set(key, change);
    this.#log.push(change);
  }

  /** Changes up to a version are not told any more to who asks for the oldest valid one; they are still there. */
  invalidate(upTo: bigint): void {
    this.#invalidVersion = upTo;
  }

  /** Forgets changes up to and including a version. Never goes back. */
  cleanUp(upTo: bigint): void {
    if (upTo > this.#cleanupVersion) {
      this.#cleanupVersion = upTo;
      this.#rewrite(this.#log.filter(({ version }) => version > upTo));
    }
  }

  /** Truncate: the log is empty, and what was before cannot be told any more. */
  restart(version: bigint): void {
    this.#beginVersion = version;
    this.#rewrite([]);
  }

  /** The same tracking, to go on from elsewhere: a backup. */
  copy(): TableTracking {
    const copy = new TableTracking({ tracksColumns: this.tracksColumns, beginVersion: this.#beginVersion });
    copy.#cleanupVersion = this.#cleanupVersion;
    copy.#invalidVersion = this.#invalidVersion;
    copy.#rewrite(this.#log);
    return copy;
  }

  /** A log of its own: who reads the one of before goes on reading that one, with its chains. */
  #rewrite(changes: readonly Change[]): void {
    this.#log = [];
    this.#lasts = new Map();
    changes.forEach((change) => this.append(change.version, change));
  }
}
