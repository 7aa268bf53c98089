/** How long a drain may take and what may end it earlier. The first call of `drain` decides; later ones join it. */
export interface DrainOptions {
  /** Milliseconds until what is not finished counts as left over. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  /** Ends the drain early, as if the time were used up. */
  readonly signal?: AbortSignal | undefined;
}

/** What a drain did and what it left. */
export interface DrainReport<TItem> {
  /** Items that succeeded between the call of `drain` and its end. */
  readonly completed: number;
  /** Items that failed between the call of `drain` and its end. */
  readonly failed: number;
  /** Accepted items that were not finished, oldest first (a queue: key by key, in the order of the key). */
  readonly leftover: readonly TItem[];
  /**
   * How many of `leftover` were in a handler when the time was used up. Their signal was aborted and their outcome is unknown: the
   * handler may yet have its effect.
   */
  readonly interrupted: number;
}

/** `running` takes items, `draining` finishes what it has, `stopped` does nothing any more. It only goes forward. */
export type LifecycleState = 'running' | 'draining' | 'stopped';

/** How long a drain takes at most when its caller does not say, in milliseconds. */
export const DEFAULT_DRAIN_TIMEOUT_MS = 10_000;
