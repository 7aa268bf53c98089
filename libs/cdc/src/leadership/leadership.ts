/** A lease that is held. */
export interface Lease {
  readonly resource: string;
  /** Rises with every holder; a store refuses writes of a lower one. */
  readonly fence: bigint;
  /** Aborts when the lease is lost or released: stop at once, do not checkpoint. */
  readonly signal: AbortSignal;
  /** Gives it back. Idempotent. */
  release(): Promise<void>;
}

/**
 * Who may read a table, as a port: one holder per resource among all replicas.
 *
 * An implementer guarantees: of two leases on one resource the later has the higher fence; a holder's signal aborts before
 * another can hold it, measured on a monotonic clock.
 */
export abstract class Leadership {
  /** The lease, or `undefined` when another replica holds it now. */
  abstract acquire(resource: string): Promise<Lease | undefined>;
}
