import type { Clock, Random } from '@smartpulse/resilience';
import { LocalView } from '../../cache/local-view.js';
import { VersionedCache } from '../../cache/versioned-cache.js';
import type { CacheNamespace } from '../../namespace/define-cache.js';
import type { SimulatedBus } from './simulated.bus.js';
import type { SimulatedStore } from './simulated.store.js';
import type { SimulatedValue, SimulationOptions } from './simulation.options.js';

/** One replica with what it has shown and promised. */
export class SimulatedReplica {
  readonly cache: VersionedCache<SimulatedValue>;
  readonly view: LocalView<SimulatedValue>;
  /** The newest content that a reader of it was shown. */
  shown = 0;
  /** The newest content whose `committed()` returned here. */
  committed = 0;

  constructor(
    readonly name: string,
    readonly bus: SimulatedBus,
    parts: {
      readonly namespace: CacheNamespace<SimulatedValue>;
      readonly store: SimulatedStore;
      readonly clock: Clock;
      readonly random: Random;
      readonly view: SimulationOptions['view'];
    },
  ) {
    const { view, ...rest } = parts;
    this.view = view?.(parts.namespace) ?? new LocalView<SimulatedValue>(parts.namespace);
    this.cache = new VersionedCache({ ...rest, prefix: 'sim', nodeId: name, view: this.view });
  }
}
