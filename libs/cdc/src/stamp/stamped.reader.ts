import type { ChangeVersion } from '../change/change-version.js';

/** A value with the stamp that was read before it. */
export interface Stamped<T> {
  readonly stamp: ChangeVersion;
  readonly value: T;
}

/**
 * Reads data together with its stamp, as a port.
 *
 * An implementer guarantees: the stamp (epoch, current version) is read **before** the data, so the value reflects every commit at
 * or below the stamp, perhaps later ones; never from a secondary. With `isolation: 'snapshot'` both come from one snapshot, so the
 * value reflects exactly the commits at or below it.
 *
 * `TManager` is what the work reads with: TypeORM's `EntityManager` for the adapters of this package.
 */
export abstract class StampedReader<TManager = unknown> {
  abstract readonly isolation: 'snapshot' | 'statement';
  abstract read<T>(work: (manager: TManager) => Promise<T>): Promise<Stamped<T>>;
  /** The stamp alone: every commit acknowledged before the call is at or below it. */
  abstract current(): Promise<ChangeVersion>;
}
