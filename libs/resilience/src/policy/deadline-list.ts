import type { Clock, Timer } from '../clock/clock.js';

/** Something that ends at a deadline unless it is removed before. */
export interface Deadline {
  /** Called once when the time has come. */
  expire(): void;
}

/**
 * Deadlines of all policies on one timer: setting and dropping one costs a set operation, not a timer. They fire in slots of
 * {@link SLOT_MS}: never early, at most one slot late.
 */
export class DeadlineList {
  readonly #clock: Clock;
  readonly #slots = new Map<number, Set<Deadline>>();
  #timer: Timer | undefined;
  #timerSlot = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns drops the deadline. */
  add(delayMs: number, deadline: Deadline): () => void {
    const slot = Math.ceil((this.#clock.monotonic() + delayMs) / SLOT_MS);
    let entries = this.#slots.get(slot);
    if (entries === undefined) {
      entries = new Set();
      this.#slots.set(slot, entries);
    }
    entries.add(deadline);
    if (slot < this.#timerSlot) {
      this.#arm(slot);
    }
    return () => {
      entries.delete(deadline);
    };
  }

  /** Drops everything, the timer too. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerSlot = Number.POSITIVE_INFINITY;
    this.#slots.clear();
  }

  #arm(slot: number): void {
    this.#timer?.cancel();
    this.#timerSlot = slot;
    // Alone it does not keep the process alive: the work that it guards does.
    this.#timer = this.#clock.setTimer(Math.max(0, slot * SLOT_MS - this.#clock.monotonic()), () => this.#fire(), {
      unref: true,
    });
  }

  #fire(): void {
    this.#timer = undefined;
    this.#timerSlot = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonic();
    const due = [...this.#slots.keys()].filter((slot) => slot * SLOT_MS <= nowMs).sort((a, b) => a - b);
    for (const slot of due) {
      const entries = this.#slots.get(slot);
      this.#slots.delete(slot);
      entries?.forEach((deadline) => deadline.expire());
    }
    this.#rearm();
  }

  #rearm(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const [slot, entries] of this.#slots) {
      if (entries.size === 0) {
        this.#slots.delete(slot);
      } else {
        next = Math.min(next, slot);
      }
    }
    if (next < this.#timerSlot) {
      this.#arm(next);
    }
  }
}

/** Milliseconds that share one slot. */
const SLOT_MS = 10;
