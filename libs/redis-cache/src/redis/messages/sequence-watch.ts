import type { MessageOrigin } from './wire-message.js';

/** Sources that are followed at once; the one heard of least recently is forgotten, and taken as it comes when it is heard again. */
const MAX_SOURCES = 10_000;

/** Follows the numbers of every process on one channel. */
export class SequenceWatch {
  /** In the order in which they were heard of. */
  readonly #last = new Map<string, number>();
  #latest: string | undefined;

  /** Answers whether messages are missing before this one. A heartbeat carries the number of the last message, not a new one. */
  misses({ epoch, sequence }: MessageOrigin, heartbeat: boolean): boolean {
    const last = this.#last.get(epoch);
    if (epoch !== this.#latest) {
      this.#last.delete(epoch);
      this.#latest = epoch;
    }
    this.#last.set(epoch, Math.max(last ?? 0, sequence));
    if (this.#last.size > MAX_SOURCES) {
      for (const oldest of this.#last.keys()) {
        this.#last.delete(oldest);
        break;
      }
    }
    // One that was not heard of before began before we listened, or has just begun: what it told until now is of no concern.
    return last !== undefined && sequence > last + (heartbeat ? 0 : 1);
  }

  /** The connection is another one: whatever was missed, is covered by the distrust that it brought. */
  clear(): void {
    this.#latest = undefined;
    this.#last.clear();
  }
}
