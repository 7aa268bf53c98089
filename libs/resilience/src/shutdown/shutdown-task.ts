/**
 * The order of a clean stop. `readiness`: say so first. `intake`: take nothing new. Then HTTP is closed. `work`: finish
 * what was taken. `flush`: hand over what was produced. Then Nest's own hooks run. `clients`: close connections last.
 */
export type ShutdownPhase = 'readiness' | 'intake' | 'work' | 'flush' | 'clients';

/** All phases in the order in which they run. Tasks of one phase run side by side. */
export const SHUTDOWN_PHASES: readonly ShutdownPhase[] = Object.freeze([
  'readiness',
  'intake',
  'work',
  'flush',
  'clients',
] as const);

/** What a task is given when its phase begins. */
export interface ShutdownContext {
  /** Aborts when the phase's time is used up: stop waiting and report what is left. */
  readonly signal: AbortSignal;
  /** Milliseconds that this phase may take, counted from its beginning. */
  readonly timeoutMs: number;
}

/** One part's share of the shutdown. */
export interface ShutdownTask {
  /** Names the part in the report and in the log. */
  readonly name: string;
  readonly phase: ShutdownPhase;
  /** Does the phase's work; answers how many items were left over (nothing = 0). */
  stop(context: ShutdownContext): Promise<number | void> | number | void;
}
