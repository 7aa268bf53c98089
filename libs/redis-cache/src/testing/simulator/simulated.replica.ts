import type { Clock, Random } from '@smartpulse/resilience';
import type { CacheStats } from '../../cache/cache.stats.js';
import { LocalView } from '../../cache/local-view.js';
import { VersionedCache } from '../../cache/versioned-cache.js';
import type { InvalidationBus } from '../../invalidation/invalidation.bus.js';
import { type CacheNamespace, defineCache } from '../../namespace/define-cache.js';
import type { SimulatedBus } from './simulated.bus.js';
import type { SimulatedStore } from './simulated.store.js';
import type { SimulatedValue, SimulationOptions } from './simulation.options.js';

const HOUR_MS = 3_600_000;

/** Lives that no history outlasts: expiry happens as a step of its own, never by time passing, for an error must not be healed by it unseen. */
export const ENDLESS = Object.freeze({
  l1TtlMs: 24 * HOUR_MS,
  l2TtlMs: 24 * HOUR_MS,
  negativeTtlMs: 24 * HOUR_MS,
  leaseMs: 600_000,
  loadTimeoutMs: HOUR_MS,
  waitTimeoutMs: HOUR_MS,
  storeTimeoutMs: HOUR_MS,
});

export const SIMULATED_NAMESPACE = defineCache<SimulatedValue>({ name: 'model', synced: true, ...ENDLESS });

/** What a history needs of a cache, whatever it keeps. */
export interface ListenedCache {
  readonly trusted: boolean;
  connect(bus: InvalidationBus): Promise<void>;
  stats(): CacheStats;
  close(): Promise<void>;
}

/** One replica. */
export class SimulatedReplica<C extends ListenedCache = ListenedCache> {
  /** It ended without a word. */
  crashed = false;

  constructor(
    readonly name: string,
    readonly bus: SimulatedBus,
    readonly cache: C,
    readonly view: Pick<LocalView<never>, 'counts'>,
  ) {}

  /** What it waits for fails, what it has asked may still be executed. */
  async crash(): Promise<void> {
    this.crashed = true;
    this.bus.end();
    await this.cache.close();
  }
}

/** What a {@link RowReplica} is made of. */
export interface RowReplicaParts {
  readonly store: SimulatedStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly view: SimulationOptions['view'];
  /** Default {@link SIMULATED_NAMESPACE}. */
  readonly namespace?: CacheNamespace<SimulatedValue> | undefined;
}

/** One replica of rows, with what it has shown and promised. */
export class RowReplica extends SimulatedReplica<VersionedCache<SimulatedValue>> {
  /** The newest content that a reader of it was shown. */
  shown = 0;
  /** The newest content whose `committed()` returned here. */
  committed = 0;

  private constructor(
    name: string,
    bus: SimulatedBus,
    cache: VersionedCache<SimulatedValue>,
    override readonly view: LocalView<SimulatedValue>,
  ) {
    super(name, bus, cache, view);
  }

  static create(name: string, bus: SimulatedBus, { view: make, ...parts }: RowReplicaParts): RowReplica {
    const { namespace = SIMULATED_NAMESPACE } = parts;
    const view = make?.(namespace) ?? new LocalView<SimulatedValue>(namespace);
    const cache = new VersionedCache({ ...parts, namespace, prefix: 'sim', nodeId: name, view });
    return new RowReplica(name, bus, cache, view);
  }
}
