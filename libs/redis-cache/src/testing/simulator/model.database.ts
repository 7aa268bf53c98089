import { EntryVersion } from '../../version/entry-version.js';

/** The truth: one row, changed and deleted by commits of one counter that other rows move too. */
export class ModelDatabase {
  // `since`: a reader of this version or a later one cannot have seen less.
  readonly #contents: { readonly since: number; readonly content: number }[] = [];
  readonly #deleted = new Set<number>();
  #version = 1;

  /** The counter. */
  get version(): number {
    return this.#version;
  }

  /** The row's content: how often it became another one. */
  get content(): number {
    return this.#contents.at(-1)?.content ?? 0;
  }

  /** The least content that a reader of this version may have seen: a truncate changes the content and not the version. */
  contentAt(version: number): number {
    return this.#contents.reduce((found, { since, content }) => (since <= version ? content : found), 0);
  }

  /** Changes the row; or deletes it, so that it has this content no more than any other. */
  commit({ deletes = false } = {}): { readonly version: number; readonly content: number } {
    this.#version++;
    const content = this.#becomes(this.#version);
    if (deletes) {
      this.#deleted.add(content);
    }
    return { version: this.#version, content };
  }

  /** Whether this content is that there is no row. */
  isDeleted(content: number): boolean {
    return this.#deleted.has(content);
  }

  /** The table is truncated: another content under the same version. */
  truncate(): void {
    this.#becomes(this.#version + 1);
  }

  /** Another row changes. */
  commitElsewhere(): void {
    this.#version++;
  }

  #becomes(since: number): number {
    const content = this.content + 1;
    this.#contents.push({ since, content });
    return content;
  }
}

/** The model's versions as stamps. */
export function stampOf(version: number): EntryVersion {
  return new EntryVersion(1n, BigInt(version));
}
