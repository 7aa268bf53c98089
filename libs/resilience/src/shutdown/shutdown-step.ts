import type { Clock, Timer } from '../clock/clock.js';
import { ShutdownTimeoutError } from '../resilience.errors.js';
import type { ShutdownStep, ShutdownStepReport, ShutdownTaskReport } from './shutdown-report.js';
import type { ShutdownContext, ShutdownTask } from './shutdown-task.js';

/** After its signal aborted, a task has this long to say what it left over. */
const ANSWER_GRACE_MS = 250;

/** Runs the tasks of one step side by side within its time. Never throws: what goes wrong stands in the report. */
export async function runStep(
  clock: Clock,
  step: ShutdownStep,
  tasks: readonly Pick<ShutdownTask, 'name' | 'stop'>[],
  timeoutMs: number,
): Promise<ShutdownStepReport> {
  const startedMs = clock.monotonic();
  const elapsedMs = (): number => clock.monotonic() - startedMs;
  const abort = new AbortController();
  const reports = new Map<number, ShutdownTaskReport>();
  const answers = tasks.map(async (task, index) => {
    const report = await stopTask(task, { signal: abort.signal, timeoutMs }, elapsedMs);
    reports.set(index, report);
  });
  if (answers.length > 0) {
    const allAnswered = Promise.all(answers);
    if (!(await within(clock, timeoutMs, allAnswered))) {
      abort.abort(new ShutdownTimeoutError(step, timeoutMs));
      await within(clock, ANSWER_GRACE_MS, allAnswered);
    }
  }
  return {
    step,
    durationMs: elapsedMs(),
    // A task that answers after this is not heard any more; its promise is settled all the same, by stopTask.
    tasks: tasks.map(
      (task, index) => reports.get(index) ?? { name: task.name, outcome: 'timedOut', durationMs: elapsedMs() },
    ),
  };
}

async function stopTask(
  task: Pick<ShutdownTask, 'name' | 'stop'>,
  context: ShutdownContext,
  elapsedMs: () => number,
): Promise<ShutdownTaskReport> {
  try {
    const leftOver = (await task.stop(context)) ?? 0;
    const outcome = context.signal.aborted ? 'cutShort' : 'stopped';
    return { name: task.name, outcome, leftOver, durationMs: elapsedMs() };
  } catch (error) {
    return {
      name: task.name,
      outcome: 'failed',
      error: error instanceof Error ? error : new Error(String(error)),
      durationMs: elapsedMs(),
    };
  }
}

/** Whether `work` ended within `timeoutMs`. The timer keeps the process alive on purpose: a hanging task is to be reported. */
export async function within(clock: Clock, timeoutMs: number, work: Promise<unknown>): Promise<boolean> {
  let timer: Timer | undefined;
  const expiry = new Promise<false>((resolve) => {
    timer = clock.setTimer(timeoutMs, () => resolve(false));
  });
  try {
    return await Promise.race([work.then(() => true), expiry]);
  } finally {
    timer?.cancel();
  }
}
