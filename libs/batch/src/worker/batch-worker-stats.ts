import type { LifecycleState } from '../drain/drain-report.js';

/** Figures of a worker at one instant; counters count from its creation. */
export interface BatchWorkerStats {
  readonly name: string;
  readonly state: LifecycleState;
  /** Accepted, no handler has them yet. */
  readonly queued: number;
  /** Items in the handler now. */
  readonly inFlight: number;
  /** Callers that wait for room. */
  readonly waiting: number;
  /** Weight of what is queued and in the handler. */
  readonly weight: number;
  readonly capacityItems: number;
  readonly capacityWeight: number;
  /** Abort signals that are listened to. */
  readonly listenedSignals: number;
  /** accepted = completed + failed + withdrawn + leftover + queued + inFlight. */
  readonly accepted: number;
  readonly completed: number;
  readonly failed: number;
  /** Taken back by their signal after they were accepted and before a handler had them. */
  readonly withdrawn: number;
  readonly leftover: number;
  /** Never accepted: no room, too heavy, stopped, taken back while they waited for room. */
  readonly refused: number;
  readonly batches: number;
}
