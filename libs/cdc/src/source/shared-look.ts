import type { Clock } from '@smartpulse/resilience';
import type { ChangeSource, SourceState } from './change.source.js';

/** Who waits for its next poll, and may as well be told by a look that another one makes. */
export interface LookRider {
  readonly table: string;
  /** From this monotonic time on: before, the table would be looked at more often than it wants to be. */
  readonly fromMs: number;
  /** Called once, with a look that began after the rider waited. */
  readonly board: (state: Promise<SourceState>) => void;
}

/**
 * One look at the database for all trackers: for those that ask in the same instant, as a nudge of many tables or a start makes them, and
 * for those whose own poll is soon due, so that trackers of one interval come to look together however they began. A look that has
 * begun is never shared: it may have been before the commit that the asker was nudged for.
 */
export class SharedLook {
  readonly #source: ChangeSource;
  readonly #clock: Clock;
  readonly #tables = new Set<string>();
  readonly #riders = new Set<LookRider>();
  #next: Promise<SourceState> | undefined;

  constructor(source: ChangeSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  /** The state of at least `table`, read after this call. */
  at(table: string): Promise<SourceState> {
    this.#tables.add(table);
    this.#next ??= this.#look();
    return this.#next;
  }

  /** Waits for a look of somebody else; the answer ends that. */
  ride(rider: LookRider): () => void {
    this.#riders.add(rider);
    return () => void this.#riders.delete(rider);
  }

  async #look(): Promise<SourceState> {
    // Trackers that were woken together ask one microtask after another.
    await Promise.resolve();
    const now = this.#clock.monotonic();
    const boarding = [...this.#riders].filter(({ fromMs }) => fromMs <= now);
    const tables = [...this.#tables, ...boarding.map(({ table }) => table)];
    this.#tables.clear();
    this.#next = undefined;
    const state = this.#source.state([...new Set(tables)]);
    for (const rider of boarding) {
      // What the look began with may have nudged it.
      if (this.#riders.delete(rider)) {
        rider.board(state);
      }
    }
    return state;
  }
}
