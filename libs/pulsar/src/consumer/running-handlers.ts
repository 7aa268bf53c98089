import type { Clock, Timer } from '@smartpulse/resilience';
import { HandlerTimeoutError } from '../pulsar.errors.js';
import type { RunResult } from './message-invoker.js';

/** How long handlers of a consumer may run. */
export interface HandlerTimes {
  readonly clock: Clock;
  readonly topic: string;
  /** 0 = no limit. */
  readonly timeoutMs: number;
  /** What an aborted handler may take to settle. */
  readonly abortGraceMs: number;
}

/** One run of a handler, from {@link RunningHandlers.begin} to {@link RunningHandlers.end}. */
export class HandlerRun {
  previous: HandlerRun | undefined = undefined;
  next: HandlerRun | undefined = undefined;
  /** Its time is used up: it has failed, whatever the handler answers. */
  timedOut: HandlerTimeoutError | undefined = undefined;
  /** Runs out when an aborted handler does not settle. */
  grace: Timer | undefined = undefined;
  /** Gives the result of a handler that waits to whoever waits for it. */
  settle: ((result: RunResult) => void) | undefined = undefined;
  isOver = false;
  #abort: AbortController | undefined = undefined;
  #aborted: { readonly reason: unknown } | undefined = undefined;

  /** @param startMs by the monotonic clock. */
  constructor(readonly startMs: number) {}

  /** Made when somebody asks for it: most handlers do not, and it costs more than all else that a run is made of. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#aborted !== undefined) {
        this.#abort.abort(this.#aborted.reason);
      }
    }
    return this.#abort.signal;
  }

  abort(reason: unknown): void {
    this.#aborted ??= { reason };
    this.#abort?.abort(reason);
  }
}

/**
 * The runs of a consumer's handler. All have the same time, so that they are due in the order in which they began: one timer serves them all,
 * and one listener tells them of the stop.
 */
export class RunningHandlers {
  readonly #times: HandlerTimes;
  readonly #onGivenUp: (run: HandlerRun) => void;
  readonly #onStop = (): void => this.#stopAll();
  #head: HandlerRun | undefined;
  #tail: HandlerRun | undefined;
  #timer: Timer | undefined;
  #stop: AbortSignal | undefined;

  /** @param onGivenUp told of a run whose grace is over. */
  constructor(times: HandlerTimes, onGivenUp: (run: HandlerRun) => void) {
    this.#times = times;
    this.#onGivenUp = onGivenUp;
  }

  /** @param stop aborts when the shutdown's time is used up. */
  begin(stop: AbortSignal): HandlerRun {
    const run = new HandlerRun(this.#times.clock.monotonic());
    if (stop.aborted) {
      run.abort(stop.reason);
    } else if (stop !== this.#stop) {
      this.#stop?.removeEventListener('abort', this.#onStop);
      this.#stop = stop;
      stop.addEventListener('abort', this.#onStop, { once: true });
    }
    run.previous = this.#tail;
    if (this.#tail === undefined) {
      this.#head = run;
    } else {
      this.#tail.next = run;
    }
    this.#tail = run;
    if (this.#timer === undefined && this.#times.timeoutMs > 0) {
      this.#arm(this.#times.timeoutMs);
    }
    return run;
  }

  /** The run has settled, or is given up. */
  end(run: HandlerRun): void {
    run.isOver = true;
    run.grace?.cancel();
    if (run.timedOut === undefined) {
      this.#remove(run);
    }
  }

  /** Takes the timer and the listener away. Runs that are still there are given no more time. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#stop?.removeEventListener('abort', this.#onStop);
    this.#stop = undefined;
  }

  /** The timer stays when its run ends: setting one for each run would cost more than to find that none is due. */
  #arm(delayMs: number): void {
    this.#timer = this.#times.clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.#expire();
    });
  }

  #expire(): void {
    const { clock, timeoutMs, topic, abortGraceMs } = this.#times;
    const nowMs = clock.monotonic();
    for (let run = this.#head; run !== undefined; run = this.#head) {
      const leftMs = run.startMs + timeoutMs - nowMs;
      if (leftMs > 0) {
        this.#arm(leftMs);
        return;
      }
      const late = run;
      this.#remove(late);
      late.timedOut = new HandlerTimeoutError(topic, timeoutMs);
      late.grace = clock.setTimer(abortGraceMs, () => this.#onGivenUp(late));
      late.abort(late.timedOut);
    }
  }

  #stopAll(): void {
    const reason: unknown = this.#stop?.reason;
    for (let run = this.#head; run !== undefined; run = run.next) {
      run.abort(reason);
    }
  }

  #remove(run: HandlerRun): void {
    if (run.previous === undefined) {
      this.#head = run.next;
    } else {
      run.previous.next = run.next;
    }
    if (run.next === undefined) {
      this.#tail = run.previous;
    } else {
      run.next.previous = run.previous;
    }
    run.previous = undefined;
    run.next = undefined;
  }
}
