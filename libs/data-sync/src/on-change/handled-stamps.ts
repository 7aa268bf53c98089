import { type ChangeVersion, compareChangeVersions } from '@smartpulse/cdc';

/** The highest stamp handled per primary key, of the last so many keys: what left because of that may come again. */
export class HandledStamps {
  readonly #stamps = new Map<string, ChangeVersion>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Whether a newer change of the key was handled. An equal one is the same change again, and is handled again. */
  isBelow(pk: string, stamp: ChangeVersion): boolean {
    const handled = this.#stamps.get(pk);
    return handled !== undefined && compareChangeVersions(stamp, handled) < 0;
  }

  /** The change was handled. */
  remember(pk: string, stamp: ChangeVersion): void {
    const newer = this.isBelow(pk, stamp) ? this.#stamps.get(pk) : stamp;
    this.#stamps.delete(pk);
    this.#stamps.set(pk, newer ?? stamp);
    if (this.#stamps.size > this.#capacity) {
      const [oldest] = this.#stamps.keys();
      this.#stamps.delete(oldest ?? pk);
    }
  }

  get size(): number {
    return this.#stamps.size;
  }
}
