/** CHANGE_RETENTION as it was written. */
export interface Retention {
  readonly period: number;
  readonly unit: 'minutes' | 'hours' | 'days';
}

/** A row of `sys.dm_tran_commit_table`. */
export interface TrackedCommit {
  readonly version: bigint;
  readonly committedAtMs: number;
}

const UNIT_MS: Readonly<Record<Retention['unit'], number>> = { minutes: 60_000, hours: 3_600_000, days: 86_400_000 };

/** Change tracking of a database: the counter, which outlives being turned off, and the settings. */
export class DatabaseTracking {
  enabled = false;
  autoCleanup = true;
  retention: Retention = { period: 2, unit: 'days' };
  #version = 0n;
  #commits: TrackedCommit[] = [];

  /** The last committed version, also while tracking is off. */
  get version(): bigint {
    return this.#version;
  }

  get commits(): readonly TrackedCommit[] {
    return this.#commits;
  }

  get retentionMs(): number {
    return this.retention.period * UNIT_MS[this.retention.unit];
  }

  commit(atMs: number): bigint {
    this.#version += 1n;
    this.#commits.push({ version: this.#version, committedAtMs: atMs });
    return this.#version;
  }

  /** The last version that is older than the retention; `undefined` when there is none. */
  expired(nowMs: number): bigint | undefined {
    return this.#commits.findLast(({ committedAtMs }) => committedAtMs < nowMs - this.retentionMs)?.version;
  }

  forgetCommits(upTo: bigint): void {
    this.#commits = this.#commits.filter(({ version }) => version > upTo);
  }

  /** Moves the counter without a change: what a jump looks like to a reader. */
  jump(by: bigint, atMs: number): void {
    this.#version += by;
    this.#commits.push({ version: this.#version, committedAtMs: atMs });
  }

  copy(): DatabaseTracking {
    const copy = new DatabaseTracking();
    copy.enabled = this.enabled;
    copy.autoCleanup = this.autoCleanup;
    copy.retention = this.retention;
    copy.#version = this.#version;
    copy.#commits = [...this.#commits];
    return copy;
  }
}
