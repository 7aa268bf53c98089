import type { Clock, Random } from '@smartpulse/resilience';
import { LocalView } from '../../cache/local-view.js';
import { VersionedCache } from '../../cache/versioned-cache.js';
import { defineCache } from '../../namespace/define-cache.js';
import type { SimulatedBus } from './simulated.bus.js';
import type { SimulatedStore } from './simulated.store.js';
import type { SimulatedValue, SimulationOptions } from './simulation.options.js';

const HOUR_MS = 3_600_000;

/** Expiry happens as a step of its own, never by time passing: an error must not be healed by it unseen. */
export const SIMULATED_NAMESPACE = defineCache<SimulatedValue>({
  name: 'model',
  synced: true,
  l1TtlMs: 24 * HOUR_MS,
  l2TtlMs: 24 * HOUR_MS,
  leaseMs: 600_000,
  loadTimeoutMs: HOUR_MS,
  waitTimeoutMs: HOUR_MS,
  storeTimeoutMs: HOUR_MS,
});

/** One replica with what it has shown and promised. */
export class SimulatedReplica {
  readonly cache: VersionedCache<SimulatedValue>;
  readonly view: LocalView<SimulatedValue>;
  /** The newest content that a reader of it was shown. */
  shown = 0;
  /** The newest content whose `committed()` returned here. */
  committed = 0;
  /** It ended without a word. */
  crashed = false;

  constructor(
    readonly name: string,
    readonly bus: SimulatedBus,
    parts: {
      readonly store: SimulatedStore;
      readonly clock: Clock;
      readonly random: Random;
      readonly view: SimulationOptions['view'];
    },
  ) {
    const { view, ...rest } = parts;
    this.view = view?.(SIMULATED_NAMESPACE) ?? new LocalView<SimulatedValue>(SIMULATED_NAMESPACE);
    this.cache = new VersionedCache({
      ...rest,
      namespace: SIMULATED_NAMESPACE,
      prefix: 'sim',
      nodeId: name,
      view: this.view,
    });
  }

  /** What it waits for fails, what it has asked may still be executed. */
  async crash(): Promise<void> {
    this.crashed = true;
    this.bus.end();
    await this.cache.close();
  }
}
