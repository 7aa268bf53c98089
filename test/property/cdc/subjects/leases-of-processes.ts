import type { Lease, Leadership } from '@smartpulse/cdc';
import type { Process } from '../process.js';

/** Which process got which leases, for subjects whose replicas share one process of the operating system: the dead do not give back. */
export class LeasesOfProcesses {
  readonly #leases = new Map<Process, Map<string, Lease>>();

  remembering(process: Process, leadership: Pick<Leadership, 'acquire'>): Pick<Leadership, 'acquire'> {
    const own = new Map<string, Lease>();
    this.#leases.set(process, own);
    return {
      acquire: async (resource) => {
        const lease = await leadership.acquire(resource);
        if (lease !== undefined) {
          own.set(resource, lease);
        }
        return lease;
      },
    };
  }

  /** What it held and has not lost. */
  takeFrom(process: Process): readonly Lease[] {
    const leases = [...(this.#leases.get(process)?.values() ?? [])];
    this.#leases.delete(process);
    return leases.filter(({ signal }) => !signal.aborted);
  }
}
