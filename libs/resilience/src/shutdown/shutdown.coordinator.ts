import { type BeforeApplicationShutdown, Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { Clock } from '../clock/clock.js';
import { summarise, type ShutdownReport, type ShutdownStep, type ShutdownStepReport } from './shutdown-report.js';
import { runStep } from './shutdown-step.js';
import { SHUTDOWN_PHASES, type ShutdownPhase, type ShutdownTask } from './shutdown-task.js';
import {
  type ResolvedShutdownOptions,
  resolveShutdownOptions,
  SHUTDOWN_DEFAULTS,
  type ShutdownOptions,
} from './shutdown.options.js';

/**
 * Stops the parts of an app in a fixed order, whoever asks: `enableGracefulShutdown` from `app.close()`, or Nest's own hooks without it.
 *
 * It promises: phases run in the order of {@link SHUTDOWN_PHASES}, each once (`flush` once more after Nest's hooks); tasks of a phase run
 * side by side, each phase within its time; nothing throws, every error, time-out and leftover stands in the {@link report}.
 *
 * @example
 * ```ts
 * coordinator.register({ name: 'orders worker', phase: 'work', stop: ({ signal }) => worker.drain(signal) });
 * ```
 */
export class ShutdownCoordinator implements BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #logger = new Logger(ShutdownCoordinator.name);
  readonly #clock: Clock;
  readonly #tasks = new Set<ShutdownTask>();
  readonly #runs = new Map<ShutdownStep, Promise<void>>();
  readonly #late = new Set<Promise<void>>();
  readonly #steps: ShutdownStepReport[] = [];
  #phase: ShutdownPhase | 'running' | 'stopped' = 'running';
  #claimed = false;
  #flushedMs = 0;

  #options: ResolvedShutdownOptions;

  constructor(clock: Clock, options: ResolvedShutdownOptions = SHUTDOWN_DEFAULTS) {
    this.#clock = clock;
    this.#options = options;
  }

  /** The times that hold for this app. */
  get options(): ResolvedShutdownOptions {
    return this.#options;
  }

  /** `true` from the moment the stop began: readiness says 503, publishers and intakes may refuse. */
  get isStopping(): boolean {
    return this.#phase !== 'running';
  }

  /** Where the stop is. */
  get phase(): ShutdownPhase | 'running' | 'stopped' {
    return this.#phase;
  }

  /** What was stopped up to now, and what went wrong. */
  get report(): ShutdownReport {
    return summarise(this.#steps);
  }

  /**
   * Adds a task to its phase. A task whose phase has begun already is stopped at once.
   *
   * @returns takes the task out again; does nothing once its phase has begun.
   */
  register(task: ShutdownTask): () => void {
    if (this.#runs.has(task.phase)) {
      this.#stopLate(task);
      return () => {};
    }
    this.#tasks.add(task);
    return () => void this.#tasks.delete(task);
  }

  /**
   * Makes the caller the one that drives the stop, with its times.
   *
   * @internal
   * @returns `false` when there is such a one already.
   */
  claim(options: ShutdownOptions): boolean {
    if (this.#claimed) {
      return false;
    }
    this.#claimed = true;
    this.#options = resolveShutdownOptions(options, this.#options);
    return true;
  }

  /**
   * Runs every phase up to `last`; a phase that ran or runs already is only waited for. Never rejects.
   *
   * @internal called by `enableGracefulShutdown` and by the hooks below.
   */
  async runThrough(last: ShutdownPhase): Promise<ShutdownReport> {
    for (const phase of SHUTDOWN_PHASES) {
      if (!this.#runs.has(phase)) {
        this.#phase = phase;
      }
      await this.#once(phase, () => this.#runTasks(phase));
      if (phase === last) {
        break;
      }
    }
    if (last === 'clients') {
      await this.#finish();
    }
    return this.report;
  }

  /**
   * Runs one more task between two phases: closing the HTTP server. Once; never rejects.
   *
   * @internal
   */
  async runHttp(task: Pick<ShutdownTask, 'name' | 'stop'>): Promise<void> {
    await this.#once('http', async () =>
      this.#add(await runStep(this.#clock, 'http', [task], this.#options.httpTimeoutMs)),
    );
  }

  /** Nest's hook: without `enableGracefulShutdown` the stop begins here, while HTTP is still open. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.runThrough('flush');
  }

  /** Nest's hook: HTTP is closed now; what came in meanwhile is flushed, then clients close. */
  async onApplicationShutdown(): Promise<void> {
    await this.runThrough('flush');
    if (!this.#runs.has('clients')) {
      await this.#runTasks('flush');
    }
    await this.runThrough('clients');
  }

  async #runTasks(phase: ShutdownPhase): Promise<void> {
    const tasks = [...this.#tasks].filter((task) => task.phase === phase);
    if (phase !== 'flush') {
      tasks.forEach((task) => this.#tasks.delete(task));
    }
    const timeoutMs = this.#options.phaseTimeoutsMs[phase];
    // Both flushes share one time: whoever hung in the first may not hang that long again.
    const step = await runStep(
      this.#clock,
      phase,
      tasks,
      phase === 'flush' ? Math.max(0, timeoutMs - this.#flushedMs) : timeoutMs,
    );
    this.#flushedMs += phase === 'flush' ? step.durationMs : 0;
    this.#add(step);
  }

  #once(step: ShutdownStep, run: () => Promise<void>): Promise<void> {
    const known = this.#runs.get(step);
    if (known !== undefined) {
      return known;
    }
    // Known before it begins: a task that calls app.close() itself finds the running stop.
    const started = Promise.resolve().then(run);
    this.#runs.set(step, started);
    return started;
  }

  #stopLate(task: ShutdownTask): void {
    this.#logger.warn(`"${task.name}" was registered after phase "${task.phase}" had begun and is stopped at once.`);
    const stopping = runStep(this.#clock, task.phase, [task], this.#options.phaseTimeoutsMs[task.phase])
      .then((step) => this.#add(step))
      .finally(() => this.#late.delete(stopping));
    this.#late.add(stopping);
  }

  #add(step: ShutdownStepReport): void {
    this.#steps.push(step);
    for (const task of step.tasks) {
      switch (task.outcome) {
        case 'stopped':
          break;
        case 'cutShort':
          this.#logger.warn(`Phase "${step.step}": "${task.name}" was cut short, ${task.leftOver} left over.`);
          break;
        case 'timedOut':
          this.#logger.error(`Phase "${step.step}": "${task.name}" has not stopped in time and was left behind.`);
          break;
        case 'failed':
          this.#logger.error(`Phase "${step.step}": "${task.name}" failed: ${task.error.message}`, task.error.stack);
          break;
      }
      if (task.outcome === 'stopped' && task.leftOver > 0) {
        this.#logger.warn(`Phase "${step.step}": "${task.name}" left ${task.leftOver} over.`);
      }
    }
  }

  async #finish(): Promise<void> {
    await Promise.all(this.#late);
    if (this.#phase === 'stopped') {
      return;
    }
    this.#phase = 'stopped';
    this.#tasks.clear();
    const { clean, leftOver } = this.report;
    this.#logger.log(clean ? 'Stopped cleanly.' : `Stopped, not cleanly: ${leftOver} left over; see the lines above.`);
  }
}
