/** Longer than an old master goes on serving after another one was named, as sentinels are usually set up. */
const KEPT_MS = 30_000;
/** The oldest ones are forgotten first. */
const MAX_CHANGES = 10_000;

/** A key that this process has changed, and where that was told. */
export interface RecentChange {
  readonly key: string;
  readonly channel: string;
}

/** What this process has changed lately: a master that is replaced may take it along, though it had acknowledged it. */
export class RecentChanges {
  /** By key, the latest last. */
  readonly #changes = new Map<string, { readonly channel: string; readonly atMs: number }>();

  note(key: string, channel: string, nowMs: number): void {
    this.#changes.delete(key);
    this.#changes.set(key, { channel, atMs: nowMs });
    if (this.#changes.size > MAX_CHANGES) {
      for (const oldest of this.#changes.keys()) {
        this.#changes.delete(oldest);
        break;
      }
    }
  }

  /** Those that are not too old, and forgets nothing: the next master may be replaced, too. */
  list(nowMs: number): readonly RecentChange[] {
    return [...this.#changes].flatMap(([key, { channel, atMs }]) => (nowMs - atMs > KEPT_MS ? [] : [{ key, channel }]));
  }
}
