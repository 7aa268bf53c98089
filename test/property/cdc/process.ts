import { Clock, type Random, type Timer } from '@smartpulse/resilience';

interface Pending {
  readonly inner: Timer;
  readonly callback: () => void;
}

/** The clock as one process sees it: what falls due while it stands still fires when it goes on, and never once it is dead. */
class ProcessClock extends Clock {
  readonly #clock: Clock;
  readonly #process: Process;
  readonly #pending = new Set<Pending>();
  readonly #overdue = new Set<Pending>();

  constructor(clock: Clock, process: Process) {
    super();
    this.#clock = clock;
    this.#process = process;
  }

  override now(): number {
    return this.#clock.now();
  }

  override monotonic(): number {
    return this.#clock.monotonic();
  }

  override setTimer(delayMs: number, callback: () => void): Timer {
    if (this.#process.dead) {
      return { cancel: () => {} };
    }
    const pending: Pending = { inner: this.#clock.setTimer(delayMs, () => this.#due(pending)), callback };
    this.#pending.add(pending);
    return {
      cancel: () => {
        pending.inner.cancel();
        this.#pending.delete(pending);
        this.#overdue.delete(pending);
      },
    };
  }

  fireOverdue(): void {
    for (const pending of this.#overdue) {
      this.#overdue.delete(pending);
      pending.callback();
    }
  }

  cancelAll(): void {
    this.#pending.forEach(({ inner }) => inner.cancel());
    this.#pending.clear();
    this.#overdue.clear();
  }

  #due(pending: Pending): void {
    this.#pending.delete(pending);
    if (this.#process.state === 'awake') {
      pending.callback();
    } else {
      this.#overdue.add(pending);
    }
  }
}

/** Most turns of promises that a process is ahead of its own timers when it goes on. */
const HEAD_START = 150;

/**
 * One process among the replicas. While it is paused it neither asks nor hears; once it is dead nothing that it does reaches anybody, and its calls
 * never return.
 */
export class Process {
  /** `waking`: it goes on, and its overdue timers have not fired yet. */
  state: 'awake' | 'paused' | 'waking' | 'dead' = 'awake';
  readonly #clock: ProcessClock;
  #wake: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = new ProcessClock(clock, this);
  }

  get clock(): Clock {
    return this.#clock;
  }

  get dead(): boolean {
    return this.state === 'dead';
  }

  pause(): void {
    if (this.state === 'awake') {
      this.state = 'paused';
    }
  }

  /** What it was waiting for arrives first, then its timers: as in a process whose event loop was held up. */
  async resume(random: Random): Promise<void> {
    if (this.state !== 'paused') {
      return;
    }
    this.state = 'waking';
    this.#wake.splice(0).forEach((wake) => wake());
    for (let turn = random.int(HEAD_START); turn > 0; turn--) {
      await Promise.resolve();
    }
    if (!this.#isDead()) {
      this.state = 'awake';
      this.#clock.fireOverdue();
    }
  }

  kill(): void {
    this.state = 'dead';
    this.#wake = [];
    this.#clock.cancelAll();
  }

  /** The outcome of `work`, heard when the process is awake. */
  async alive<T>(work: () => Promise<T>): Promise<T> {
    await this.#awake();
    try {
      return await work();
    } finally {
      await this.#awake();
    }
  }

  async #awake(): Promise<void> {
    while (this.state === 'paused') {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    if (this.dead) {
      await new Promise<never>(() => {});
    }
  }

  /** Asked anew: it may have died while others ran. */
  #isDead(): boolean {
    return this.dead;
  }
}
