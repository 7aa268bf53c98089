/**
 * A nudge, as a port: a writer says that a table has new changes, so that its tracker need not wait for its next poll. A hint:
 * it may be lost or come for nothing; trackers poll anyway.
 */
export abstract class PollSignal {
  /** Nudges the trackers of `tables`, on whatever replica they run. Never throws, never waits. */
  abstract nudge(tables: readonly string[]): void;
  /** Calls `listener` at every nudge of `table`; the answer ends it. */
  abstract onNudge(table: string, listener: () => void): () => void;
}
