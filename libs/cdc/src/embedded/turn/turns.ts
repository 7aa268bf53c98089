import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock, Timer } from '@smartpulse/resilience';
import {
  EmbeddedDatabaseBusyError,
  EmbeddedDatabaseClosedError,
  EmbeddedNestedTurnError,
  EmbeddedTurnExpiredError,
} from '../embedded.errors.js';

/** How long a caller waits, at most, for the transaction that it was called in: work that nobody awaits may outlive it. */
const NESTED_PATIENCE_MS = 1_000;

/** The right to use the one connection, until it is given back or expires. */
export interface Turn {
  /** Who has it, for errors. */
  readonly holder: string;
  /** Why it is gone although nobody gave it back. */
  readonly failure: Error | undefined;
  /** Whether it may be used now. */
  readonly isHeld: boolean;
  /** Idempotent. */
  giveBack(): void;
}

/** What {@link Turns} are bounded by. */
export interface TurnLimits {
  readonly database: string;
  readonly turnTimeoutMs: number;
  readonly maxWaitingTurns: number;
}

class HeldTurn implements Turn {
  failure: Error | undefined;
  timer: Timer | undefined;

  constructor(
    readonly holder: string,
    readonly turns: Turns,
  ) {}

  get isHeld(): boolean {
    return this.turns.current === this;
  }

  giveBack(): void {
    this.turns.end(this);
  }
}

interface Waiter {
  readonly turn: HeldTurn;
  readonly resolve: (turn: Turn) => void;
}

/**
 * Gives the one connection to one caller after the other, in the order in which they asked. A turn ends by being given back or by its
 * deadline, so that a caller who forgets it stops nobody for ever.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #limits: TurnLimits;
  readonly #onExpired: (turn: Turn) => void;
  readonly #waiting = new Set<Waiter>();
  readonly #idle: (() => void)[] = [];
  readonly #inside = new AsyncLocalStorage<Turn>();
  #current: HeldTurn | undefined;
  #closed = false;

  /** @param onExpired brings the connection back into a clean state before the next caller has it. */
  constructor(clock: Clock, limits: TurnLimits, onExpired: (turn: Turn) => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#onExpired = onExpired;
  }

  get current(): Turn | undefined {
    return this.#current;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Runs `work`, which belongs to the holder of `turn`: a turn that it asks for can only come when this one ends. */
  inside<T>(turn: Turn, work: () => T): T {
    return this.#inside.run(turn, work);
  }

  /**
   * Resolves when it is this caller's turn.
   *
   * @throws EmbeddedNestedTurnError when the caller runs inside the transaction that it waits for.
   */
  take(holder: string): Promise<Turn> {
    if (this.#closed) {
      return Promise.reject(new EmbeddedDatabaseClosedError(this.#limits.database));
    }
    const turn = new HeldTurn(holder, this);
    if (this.#current === undefined) {
      this.#grant(turn);
      return Promise.resolve(turn);
    }
    if (this.#waiting.size >= this.#limits.maxWaitingTurns) {
      return Promise.reject(
        new EmbeddedDatabaseBusyError(this.#limits.database, this.#waiting.size, this.#current.holder),
      );
    }
    return new Promise<Turn>((resolve, reject) => {
      const waiter = { turn, resolve };
      this.#waiting.add(waiter);
      const outer = this.#inside.getStore();
      if (outer?.isHeld === true) {
        const patienceMs = Math.min(NESTED_PATIENCE_MS, this.#limits.turnTimeoutMs / 2);
        turn.timer = this.#clock.setTimer(patienceMs, () => {
          if (outer.isHeld) {
            this.#waiting.delete(waiter);
            reject(new EmbeddedNestedTurnError(this.#limits.database, holder, outer.holder));
          }
        });
      }
    });
  }

  /** Gives no new turn; resolves when all that were asked for have ended. */
  close(): Promise<void> {
    this.#closed = true;
    return this.#current === undefined ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Ends `turn` if it is the current one, and grants the next. */
  end(turn: Turn): void {
    if (this.#current !== turn) {
      return;
    }
    this.#current.timer?.cancel();
    this.#current = undefined;
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      this.#grant(next.turn);
      next.resolve(next.turn);
      return;
    }
    for (const resolve of this.#idle.splice(0)) {
      resolve();
    }
  }

  #grant(turn: HeldTurn): void {
    this.#current = turn;
    turn.timer?.cancel();
    turn.timer = this.#clock.setTimer(this.#limits.turnTimeoutMs, () => this.#expire(turn));
  }

  #expire(turn: HeldTurn): void {
    turn.failure = new EmbeddedTurnExpiredError(this.#limits.database, turn.holder, this.#limits.turnTimeoutMs);
    try {
      this.#onExpired(turn);
    } finally {
      this.end(turn);
    }
  }
}
