import type { Clock, Timer } from '@smartpulse/resilience';
import type { ChangeSource, SourceState } from './change.source.js';

/** What a look saw, and when it began, by the wall clock: it saw whatever was committed until then. */
export interface Look extends SourceState {
  readonly askedAtMs: number;
}

/** Who waits for its next poll, and may as well be told by a look that another one makes. */
export interface LookRider {
  readonly table: string;
  /** The wait until its own look, in milliseconds; in the second half of it, it takes what others look at. */
  readonly waitMs: number;
  /**
   * Takes what a look saw that began after the rider waited.
   *
   * @returns the next wait in milliseconds, or `null` when the ride is over: there is something to do.
   */
  readonly take: (seen: Look) => number | null;
  /** The ride is over, but for {@link SharedLook.ride}'s end: with the look that ended it, which may have failed. */
  readonly over: (state: Promise<Look>) => void;
}

interface Ride {
  readonly rider: LookRider;
  fromMs: number;
  dueMs: number;
}

/**
 * One look at the database for all trackers: for those that ask in the same instant, as a nudge of many tables or a start makes them, and
 * for those whose own poll is soon due, so that trackers of one interval come to look together however they began. A look that has
 * begun is never shared: it may have been before the commit that the asker was nudged for.
 *
 * Those that ride wait by one timer, and are told in one turn: where nothing changes, fifty tables cost little more than one.
 */
export class SharedLook {
  readonly #source: ChangeSource;
  readonly #clock: Clock;
  readonly #tables = new Set<string>();
  readonly #rides = new Set<Ride>();
  #next: Promise<Look> | undefined;
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;

  constructor(source: ChangeSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  /** The state of at least `table`, read after this call. */
  at(table: string): Promise<Look> {
    this.#tables.add(table);
    this.#next ??= this.#look();
    return this.#next;
  }

  /** Waits for a look, of somebody else or its own; the answer ends that. */
  ride(rider: LookRider): () => void {
    const ride = { rider, fromMs: 0, dueMs: 0 };
    this.#wait(ride, rider.waitMs, this.#clock.monotonic());
    this.#arm();
    return () => {
      this.#rides.delete(ride);
      if (this.#rides.size === 0) {
        this.#arm();
      }
    };
  }

  #wait(ride: Ride, waitMs: number, now: number): void {
    ride.fromMs = now + waitMs / 2;
    ride.dueMs = now + waitMs;
    this.#rides.add(ride);
  }

  /** One timer for all: it fires when the first of them is due. */
  #arm(): void {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const ride of this.#rides) {
      dueMs = Math.min(dueMs, ride.dueMs);
    }
    const waiting = dueMs < Number.POSITIVE_INFINITY;
    // One that fires early finds nobody due, and is set anew.
    if (waiting && this.#timerAtMs <= dueMs) {
      return;
    }
    this.#timer?.cancel();
    this.#timerAtMs = dueMs;
    this.#timer = waiting ? this.#clock.setTimer(dueMs - this.#clock.monotonic(), () => this.#due()) : undefined;
  }

  #due(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonic();
    for (const { dueMs } of this.#rides) {
      if (dueMs <= now) {
        // Whoever asks in this instant shares it.
        this.#next ??= this.#look();
        this.#next.catch(toldToThoseAboard);
        return;
      }
    }
    this.#arm();
  }

  async #look(): Promise<Look> {
    // Trackers that were woken together ask one microtask after another.
    await Promise.resolve();
    const now = this.#clock.monotonic();
    const aboard = [...this.#rides].filter(({ fromMs }) => fromMs <= now);
    const tables = [...this.#tables, ...aboard.map(({ rider }) => rider.table)];
    this.#tables.clear();
    this.#next = undefined;
    // A source that throws instead of rejecting fails for those aboard, too.
    const state = (async () => {
      const askedAtMs = this.#clock.now();
      return { ...(await this.#source.state([...new Set(tables)])), askedAtMs };
    })();
    for (const ride of aboard) {
      ride.fromMs = Number.POSITIVE_INFINITY;
      ride.dueMs = Number.POSITIVE_INFINITY;
    }
    this.#arm();
    try {
      const seen = await state;
      this.#tell(aboard, (rider) => rider.take(seen), state);
    } catch (error) {
      this.#tell(aboard, () => null, state);
      throw error;
    }
    return state;
  }

  #tell(aboard: readonly Ride[], next: (rider: LookRider) => number | null, state: Promise<Look>): void {
    const now = this.#clock.monotonic();
    for (const ride of aboard) {
      // What happened meanwhile may have ended its ride.
      if (!this.#rides.has(ride)) {
        continue;
      }
      const waitMs = attempt(() => next(ride.rider));
      if (waitMs === null) {
        this.#rides.delete(ride);
        ride.rider.over(state);
      } else {
        this.#wait(ride, waitMs, now);
      }
    }
    this.#arm();
  }
}

/** Those that ride hear of a look that failed from {@link LookRider.over}. */
function toldToThoseAboard(): void {}

/** Whatever failed in it, the app's sink say, meets the rider's own poll again, which tells and backs off. */
function attempt(next: () => number | null): number | null {
  try {
    return next();
  } catch {
    return null;
  }
}
