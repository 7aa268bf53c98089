import { EntryVersion } from '../../version/entry-version.js';

/** The truth: one row, changed by commits of one counter that other rows move too. */
export class ModelDatabase {
  readonly #commits: { readonly version: number }[] = [];
  #version = 1;

  /** The counter. */
  get version(): number {
    return this.#version;
  }

  /** The row's content: the version of its latest commit, 0 before the first. */
  get content(): number {
    return this.contentAt(this.#version);
  }

  /** The row's content as of a version. */
  contentAt(version: number): number {
    return this.#commits.reduce((found, commit) => (commit.version <= version ? commit.version : found), 0);
  }

  /** Changes the row. */
  commit(): number {
    this.#version++;
    this.#commits.push({ version: this.#version });
    return this.#version;
  }

  /** Another row changes. */
  commitElsewhere(): void {
    this.#version++;
  }
}

/** The model's versions as stamps. */
export function stampOf(version: number): EntryVersion {
  return new EntryVersion(1n, BigInt(version));
}
