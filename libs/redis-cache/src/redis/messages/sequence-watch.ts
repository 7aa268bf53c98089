import type { MessageOrigin } from './wire-message.js';

/** Sources that are followed at once; the one heard of least recently is forgotten, and taken as it comes when it is heard again. */
const MAX_SOURCES = 10_000;
/** Signs of life until everybody who was there before has been heard of, also one who was late. */
const SETTLING_HEARTBEATS = 2;

/**
 * Follows the numbers of every process on one channel. Who is heard of for the first time soon after the subscription may have been there before: where its numbers stood at that
 * moment, nobody knows, and what it told between then and now may be lost. Who is heard of for the first time later has just begun, and its first number is 1.
 */
export class SequenceWatch {
  /** In the order in which they were heard of. */
  readonly #last = new Map<string, number>();
  readonly #settlingMs: number;
  #latest: string | undefined;
  #sinceMs = Infinity;
  #settled = false;
  /** Somebody was heard of whose earlier numbers nobody knows. */
  #unsure = false;
  #forgot = false;

  /** @param heartbeatMs how often every process tells its last number. */
  constructor(heartbeatMs: number) {
    this.#settlingMs = heartbeatMs * SETTLING_HEARTBEATS;
  }

  /** Answers whether messages are missing before this one. A heartbeat carries the number of the last message, not a new one. */
  misses({ epoch, sequence }: MessageOrigin, heartbeat: boolean): boolean {
    const last = this.#last.get(epoch);
    const goesOn = sequence <= (last ?? 0) + (heartbeat ? 0 : 1);
    this.#note(epoch, Math.max(last ?? 0, sequence));
    if (goesOn || (last === undefined && this.#forgot)) {
      return false;
    }
    if (last === undefined && !this.#settled) {
      this.#unsure = true;
      return false;
    }
    return true;
  }

  /** These numbers are known already: its own process's, for example. */
  know({ epoch, sequence }: MessageOrigin): void {
    this.#note(epoch, sequence);
  }

  /**
   * Once, when the subscription has stood for so long that everybody has been heard of: from then on, nothing is lost unnoticed. Answers whether anything may have been lost
   * until then.
   */
  settles(nowMs: number): boolean {
    if (this.#settled || nowMs - this.#sinceMs < this.#settlingMs) {
      return false;
    }
    this.#settled = true;
    return this.#unsure;
  }

  /** The subscription stands anew: whatever was missed before is covered by the distrust that it brought. */
  clear(nowMs: number): void {
    this.#latest = undefined;
    this.#last.clear();
    this.#sinceMs = nowMs;
    this.#settled = false;
    this.#unsure = false;
    this.#forgot = false;
  }

  #note(epoch: string, sequence: number): void {
    if (epoch !== this.#latest) {
      this.#last.delete(epoch);
      this.#latest = epoch;
    }
    this.#last.set(epoch, sequence);
    if (this.#last.size > MAX_SOURCES) {
      this.#forgot = true;
      for (const oldest of this.#last.keys()) {
        this.#last.delete(oldest);
        break;
      }
    }
  }
}
