import type { Clock } from '../clock/clock.js';
import { CircuitOpenError } from '../resilience.errors.js';
import type { Random } from '../random/random.js';
import { createStrategy, type FailureStrategy } from './policy-engine.js';
import type { CircuitSnapshot } from './policy.js';
import type { ResolvedBreaker } from './resolve-policy.js';

type State =
  | { readonly kind: 'closed'; readonly strategy: FailureStrategy }
  | { readonly kind: 'open'; readonly untilMs: number; readonly recoveries: number }
  | {
      readonly kind: 'halfOpen';
      readonly endMs: number;
      readonly recoveries: number;
      running: number;
      succeeded: number;
    }
  | { readonly kind: 'isolated'; holders: number };

/** The right to run once; handed back with the result. */
export interface CircuitPermit {
  /** Which state of the circuit let it through; results of an older one are ignored. */
  readonly generation: number;
}

/** How a run ended for the circuit. `ignored`: it says nothing about the other side (aborted, a programming error). */
export type CircuitVote = 'succeeded' | 'failed' | 'ignored';

/** A caller that half-open turns away may ask again after so many milliseconds at most: the verdict is near. */
const HALF_OPEN_RETRY_MS = 1_000;

/**
 * The state of a circuit breaker: closed → open → half-open → closed or open. It has no timers: every question first moves it to where the
 * clock says it is.
 */
export class Circuit {
  #state: State;
  #generation = 0;
  #opened = 0;

  constructor(
    private readonly policy: string,
    private readonly options: ResolvedBreaker,
    private readonly clock: Pick<Clock, 'monotonic'>,
    private readonly random: Pick<Random, 'next'>,
  ) {
    this.#state = { kind: 'closed', strategy: createStrategy(options.strategy) };
  }

  /**
   * Lets one run through.
   *
   * @throws {@link CircuitOpenError} when the circuit is open or isolated, or half-open with all its probes taken.
   */
  admit(): CircuitPermit {
    const state = this.#now();
    if (state.kind === 'open' && state.untilMs <= this.clock.monotonic()) {
      this.#enter({
        kind: 'halfOpen',
        endMs: this.clock.monotonic() + this.options.halfOpenMaxWaitMs,
        recoveries: state.recoveries,
        running: 1,
        succeeded: 0,
      });
    } else if (state.kind === 'halfOpen' && state.running + state.succeeded < this.options.successesToClose) {
      state.running += 1;
    } else if (state.kind !== 'closed') {
      throw CircuitOpenError.light(this.policy, this.snapshot());
    }
    return { generation: this.#generation };
  }

  /** Takes a permit back with its result. */
  settle(permit: CircuitPermit, vote: CircuitVote): void {
    const state = this.#now();
    if (permit.generation !== this.#generation) {
      return;
    }
    if (state.kind === 'closed') {
      this.#countClosed(state.strategy, vote);
    } else if (state.kind === 'halfOpen') {
      state.running -= 1;
      if (vote === 'failed') {
        this.#open(this.clock.monotonic(), state.recoveries + 1);
      } else if (vote === 'succeeded') {
        state.succeeded += 1;
        if (state.succeeded >= this.options.successesToClose) {
          this.reset();
        }
      }
    }
  }

  /** Closes the circuit and forgets what it counted; also ends every isolation. */
  reset(): void {
    this.#enter({ kind: 'closed', strategy: createStrategy(this.options.strategy) });
  }

  /** Holds the circuit open until every holder has released it; then it is closed. */
  isolate(): () => void {
    if (this.#state.kind === 'isolated') {
      this.#state.holders += 1;
    } else {
      this.#enter({ kind: 'isolated', holders: 1 });
    }
    const held = this.#generation;
    let released = false;
    return () => {
      const state = this.#state;
      if (released || state.kind !== 'isolated' || held !== this.#generation) {
        return;
      }
      released = true;
      state.holders -= 1;
      if (state.holders === 0) {
        this.reset();
      }
    };
  }

  snapshot(): CircuitSnapshot {
    const state = this.#now();
    const nowMs = this.clock.monotonic();
    return { state: state.kind, retryAfterMs: this.#retryAfterMs(state, nowMs), opened: this.#opened };
  }

  #retryAfterMs(state: State, nowMs: number): number {
    if (state.kind === 'open') {
      return Math.max(0, state.untilMs - nowMs);
    }
    if (state.kind === 'halfOpen' && state.running + state.succeeded >= this.options.successesToClose) {
      return Math.min(HALF_OPEN_RETRY_MS, state.endMs - nowMs);
    }
    return state.kind === 'isolated' ? Number.POSITIVE_INFINITY : 0;
  }

  #countClosed(strategy: FailureStrategy, vote: CircuitVote): void {
    if (vote === 'succeeded') {
      strategy.succeeded();
    } else if (vote === 'failed' && strategy.failed()) {
      this.#open(this.clock.monotonic(), 0);
    }
  }

  /** A half-open circuit whose probes never answered is open again since its time was up, not since somebody looked. */
  #now(): State {
    const state = this.#state;
    if (state.kind === 'halfOpen' && state.endMs <= this.clock.monotonic()) {
      this.#open(state.endMs, state.recoveries + 1);
    }
    return this.#state;
  }

  #open(sinceMs: number, recoveries: number): void {
    const { openMs, openMultiplier, maxOpenMs, openJitter } = this.options;
    const plainMs = Math.min(maxOpenMs, openMs * openMultiplier ** recoveries);
    const spreadMs = plainMs * openJitter * (2 * this.random.next() - 1);
    this.#opened += 1;
    this.#enter({ kind: 'open', untilMs: sinceMs + plainMs + spreadMs, recoveries });
  }

  #enter(state: State): void {
    this.#generation += 1;
    this.#state = state;
  }
}
