import { type Lease, Leadership } from '../leadership/leadership.js';

interface Holding {
  readonly lease: Lease;
  readonly lost: AbortController;
}

/** Leases among the trackers of one process, for tests: nothing expires by itself, {@link revoke} takes a lease away. */
export class InProcessLeadership extends Leadership {
  readonly #holdings = new Map<string, Holding>();
  #fence = 0n;

  override async acquire(resource: string): Promise<Lease | undefined> {
    if (this.#holdings.has(resource)) {
      return undefined;
    }
    const lost = new AbortController();
    const lease: Lease = {
      resource,
      fence: ++this.#fence,
      signal: lost.signal,
      release: async () => {
        if (this.#holdings.get(resource)?.lease === lease) {
          this.#holdings.delete(resource);
        }
        lost.abort(new Error(`The lease of "${resource}" was released.`));
      },
    };
    this.#holdings.set(resource, { lease, lost });
    return lease;
  }

  /** The holder loses its lease; the next one to ask gets it. */
  revoke(resource?: string): void {
    for (const [name, { lost }] of this.#holdings) {
      if (resource === undefined || resource === name) {
        this.#holdings.delete(name);
        lost.abort(new Error(`The lease of "${name}" was lost.`));
      }
    }
  }

  /** The resources that are held now. */
  get held(): readonly string[] {
    return [...this.#holdings.keys()];
  }
}
