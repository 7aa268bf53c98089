import type { LifecycleState } from '../drain/drain-report.js';

/** Figures of a queue at one instant; counters count from its creation. */
export interface PartitionedQueueStats {
  readonly name: string;
  readonly state: LifecycleState;
  readonly paused: boolean;
  /** Accepted and not settled: queued, retrying and in the handler. */
  readonly size: number;
  /** Items in the handler now, or handled and held until their end is known. */
  readonly inFlight: number;
  /** Keys whose first item waits for its next attempt. */
  readonly retrying: number;
  /** Keys that have items or callers that wait. */
  readonly keys: number;
  /** Callers that wait for room. */
  readonly waiting: number;
  readonly capacity: number;
  /** Abort signals that are listened to. */
  readonly listenedSignals: number;
  /** accepted = completed + failed + leftover + size. */
  readonly accepted: number;
  readonly completed: number;
  readonly failed: number;
  readonly leftover: number;
  /** Never accepted: no room, stopped, taken back while they waited for room. */
  readonly refused: number;
  /** Times that a handler asked for an item again. */
  readonly retries: number;
}
