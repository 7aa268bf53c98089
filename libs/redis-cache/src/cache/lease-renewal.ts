import type { Timer } from '@smartpulse/resilience';
import type { CacheParts } from './cache.parts.js';

/** Keeps a lease alive while its loader runs: renewed at half of its life, until it is lost or stopped. */
export class LeaseRenewal<T> {
  #timer: Timer | undefined;
  #stopped = false;

  constructor(
    private readonly parts: CacheParts<T>,
    private readonly storedKey: string,
    private readonly token: string,
  ) {
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    this.#timer = this.parts.clock.setTimer(Math.max(1, this.parts.namespace.leaseMs / 2), () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const { store, namespace, stats } = this.parts;
    try {
      if (!(await store.renewLease(this.storedKey, this.token, namespace.leaseMs))) {
        // The set that follows will be refused; the loader's value is not trusted from here on.
        stats.leasesLost++;
        return;
      }
    } catch {
      // Counted by the timed store. Trying again is right: the lease may still stand.
    }
    if (!this.#stopped) {
      this.#schedule();
    }
  }
}
