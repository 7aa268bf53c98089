import type { Clock } from '@smartpulse/resilience';

/** A position that stands still is stored again after so long, so that who takes it over knows that it was up to date. */
const STORED_EACH_MS = 5 * 60_000;
/** The same, as a share of the time that changes are kept. */
const STORED_EACH_SHARE = 0.05;

/**
 * When a position was the database's version last: everything that was committed until then is handed off, or will be by the scan that
 * began then. By the wall clock, because it is stored with the position and outlives processes.
 */
export class PositionAge {
  readonly #clock: Clock;
  #atMs: number | null = null;
  #storedMs: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since 1970; `null` = not known. */
  get atMs(): number | null {
    return this.#atMs;
  }

  /** Milliseconds since then; `null` = not known. A clock that was set back makes it 0. */
  get agoMs(): number | null {
    return this.#atMs === null ? null : Math.max(0, this.#clock.now() - this.#atMs);
  }

  /** What is stored, by this process or another one. */
  stored(atMs: number | null): void {
    this.#storedMs = atMs;
    if (atMs !== null && (this.#atMs === null || atMs > this.#atMs)) {
      this.#atMs = atMs;
    }
  }

  /** The position was the database's version at `atMs`, when who saw it had asked: an answer may be under way for long. */
  confirm(atMs: number): void {
    this.#atMs = atMs;
  }

  /** Whether what is stored says too little of a position that is up to date. */
  isToBeStored(retentionMs: number | null): boolean {
    const eachMs = Math.min(STORED_EACH_MS, (retentionMs ?? Number.POSITIVE_INFINITY) * STORED_EACH_SHARE);
    return this.#clock.now() - (this.#storedMs ?? Number.NEGATIVE_INFINITY) >= eachMs;
  }
}
