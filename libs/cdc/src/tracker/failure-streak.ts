import type { FailureKind } from '../source/change.source.js';

/** What the server refuses so often in a row is no passing trouble, whatever it is. */
const UNRECOGNISED_AT_MOST = 3;

/** Failed attempts of one table in a row. */
export class FailureStreak {
  #attempts = 0;
  #unrecognised = 0;
  #kind: FailureKind | null = null;

  /** How many. */
  get attempts(): number {
    return this.#attempts;
  }

  /** What the last one calls for; `null` when the last attempt succeeded. */
  get kind(): FailureKind | null {
    return this.#kind;
  }

  /**
   * One more.
   *
   * @param kind what it calls for by itself.
   * @returns what it calls for after those before it.
   */
  add(kind: FailureKind): FailureKind {
    this.#attempts += 1;
    this.#unrecognised = kind === 'unrecognised' ? this.#unrecognised + 1 : 0;
    this.#kind = this.#unrecognised >= UNRECOGNISED_AT_MOST ? 'configuration' : kind;
    return this.#kind;
  }

  /** An attempt succeeded. */
  end(): void {
    this.#attempts = 0;
    this.#unrecognised = 0;
    this.#kind = null;
  }
}
