import type { ShutdownPhase } from './shutdown-task.js';

/** What is being stopped: a phase, or the HTTP server, which closes between `intake` and `work`. */
export type ShutdownStep = ShutdownPhase | 'http';

/**
 * How one task ended. `stopped`: in time. `cutShort`: it answered only after its signal had aborted. `timedOut`: it has not answered at
 * all; what it left over is unknown. `failed`: it threw.
 */
export type ShutdownTaskReport =
  | { readonly name: string; readonly outcome: 'stopped'; readonly leftOver: number; readonly durationMs: number }
  | { readonly name: string; readonly outcome: 'cutShort'; readonly leftOver: number; readonly durationMs: number }
  | { readonly name: string; readonly outcome: 'timedOut'; readonly durationMs: number }
  | { readonly name: string; readonly outcome: 'failed'; readonly error: Error; readonly durationMs: number };

/** One step of the shutdown; a step that ran twice (`flush`) stands twice. */
export interface ShutdownStepReport {
  readonly step: ShutdownStep;
  readonly durationMs: number;
  readonly tasks: readonly ShutdownTaskReport[];
}

/** What the shutdown did up to now. */
export interface ShutdownReport {
  /** `true`: every task stopped in time and nothing was left over. */
  readonly clean: boolean;
  /** Items that tasks reported as not handled. */
  readonly leftOver: number;
  readonly steps: readonly ShutdownStepReport[];
}

/** Sums the steps up. */
export function summarise(steps: readonly ShutdownStepReport[]): ShutdownReport {
  let clean = true;
  let leftOver = 0;
  for (const task of steps.flatMap((step) => step.tasks)) {
    clean &&= task.outcome === 'stopped' && task.leftOver === 0;
    leftOver += task.outcome === 'stopped' || task.outcome === 'cutShort' ? task.leftOver : 0;
  }
  return { clean, leftOver, steps: [...steps] };
}
