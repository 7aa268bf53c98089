/** What one run of the work is given. */
export interface AttemptContext {
  /**
   * Aborts when the caller aborts, the attempt's time or the call's total time is used up. Created on first use: work that never reads it
   * costs nothing.
   */
  readonly signal: AbortSignal;
  /** Which run of this call it is; 1 is the first. */
  readonly attempt: number;
}

/** How a call is made. */
export interface ExecuteOptions {
  /** Ends the call at once, also in the middle of a wait before a retry; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Where a circuit is. `isolated`: held open by hand. */
export type CircuitState = 'closed' | 'open' | 'halfOpen' | 'isolated';

/** A circuit as it is now. */
export interface CircuitSnapshot {
  readonly state: CircuitState;
  /** Milliseconds until the next probe is let through; 0 when it may start now, or when the circuit is closed. */
  readonly retryAfterMs: number;
  /** How often it opened since the start. */
  readonly opened: number;
}

/** Plain counts of a policy since its creation. */
export interface PolicySnapshot {
  readonly name: string;
  readonly calls: number;
  readonly succeeded: number;
  /** Calls that ended with an error of the work itself. */
  readonly failed: number;
  /** Calls that ended because a time was used up. */
  readonly timedOut: number;
  /** Calls refused by the open circuit or the full bulkhead. */
  readonly rejected: number;
  /** Calls that their callers aborted. */
  readonly cancelled: number;
  readonly retries: number;
  readonly circuit: CircuitSnapshot | undefined;
  /** Runs that hold a place of the bulkhead, and callers that wait for one. */
  readonly bulkhead: { readonly active: number; readonly waiting: number } | undefined;
}

/**
 * Retry, time-outs, circuit breaker and bulkhead as one thing with a name. Calls share its state; different policies share nothing.
 *
 * From outside to inside: total timeout → bulkhead → retry → breaker → attempt timeout → work.
 */
export interface Policy {
  readonly name: string;

  /**
   * Runs `work` under the policy and answers its result.
   *
   * @throws the last error of `work` itself when retries end; {@link CircuitOpenError}, {@link BulkheadFullError} or {@link PolicyTimeoutError}
   *   when the policy refuses or cuts the call; the signal's reason when the caller aborts.
   * @example
   * ```ts
   * const stock = await registry.get('stock').execute(({ signal }) => fetchStock(id, signal), { signal });
   * ```
   */
  execute<T>(work: (context: AttemptContext) => T | Promise<T>, options?: ExecuteOptions): Promise<T>;

  /** The counts and states as they are now. */
  snapshot(): PolicySnapshot;

  /** Holds the circuit open by hand until the returned function is called; does nothing without a breaker. */
  isolate(): () => void;

  /** Closes the circuit and forgets its failures. */
  reset(): void;
}
