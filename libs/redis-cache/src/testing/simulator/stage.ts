import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import type { CacheHit, Loaded } from '../../cache/cache-hit.js';
import { EmbeddedCacheServer } from '../../embedded/embedded-cache.server.js';
import { MemoryInvalidationBus } from '../../embedded/memory.bus.js';
import { MemoryCacheStore } from '../../embedded/memory.store.js';
import { NamespaceNames } from '../../namespace/names.js';
import type { CacheStore, ChangeOutcome, StoreOrigin } from '../../store/cache.store.js';
import { ModelDatabase, stampOf } from './model.database.js';
import { NumberedMessages } from './numbered-messages.js';
import { SimulatedBus } from './simulated.bus.js';
import { SimulatedLine } from './simulated.line.js';
import { RowReplica, SIMULATED_NAMESPACE } from './simulated.replica.js';
import { SimulatedStore } from './simulated.store.js';
import type { SimulatedValue, SimulationOptions } from './simulation.options.js';
import { settled, StepScheduler } from './step.scheduler.js';

const KEY = 'row';

/** What differs from the cache as it is. */
export type StageOptions = Pick<SimulationOptions, 'protocol' | 'view' | 'watch' | 'announcesLoss' | 'stamp'> & {
  /** Stands between every replica and the store. */
  readonly storeOf?: ((store: CacheStore) => CacheStore) | undefined;
};

/** A history told step by step: every request, reply and message waits until the test lets it happen. */
export class Stage {
  readonly database = new ModelDatabase();
  readonly #clock = new VirtualClock();
  readonly #steps = new StepScheduler(new SeededRandom(1));
  readonly #server: EmbeddedCacheServer;
  readonly #replicas: RowReplica[] = [];
  readonly #names = new NamespaceNames('sim', SIMULATED_NAMESPACE.name);
  readonly #origin: StoreOrigin = { channel: this.#names.channel, source: 'applier', synced: true };
  readonly #running = new Set<Promise<unknown>>();
  readonly #numbers = new NumberedMessages();

  constructor(private readonly options: StageOptions = {}) {
    this.#server = new EmbeddedCacheServer({ clock: this.#clock, protocol: options.protocol });
  }

  async replica(name: string): Promise<RowReplica> {
    const store = new MemoryCacheStore(this.#server);
    const bus = new SimulatedBus(new MemoryInvalidationBus(this.#server), name, this.#steps, {
      announces: this.options.announcesLoss ?? true,
      numbers: this.#numbers,
      watch: this.options.watch,
    });
    const replica = RowReplica.create(name, bus, {
      store: new SimulatedStore(this.options.storeOf?.(store) ?? store, new SimulatedLine(name, this.#steps)),
      clock: this.#clock,
      random: new SeededRandom(this.#replicas.length + 1),
      view: this.options.view,
    });
    this.#replicas.push(replica);
    await replica.cache.connect(bus);
    return replica;
  }

  /** These steps happen, in this order; each is the first that waits under a label that begins so. */
  async lets(...beginnings: readonly string[]): Promise<void> {
    for (const beginning of beginnings) {
      await this.#steps.let(beginning);
    }
  }

  /** Everything that waits happens, what waits for longest first, until nothing is left. */
  async rest(): Promise<void> {
    for (let turns = 0; this.#running.size > 0 || this.#steps.waiting; turns++) {
      if (turns > 1_000) {
        throw new Error('The story does not come to rest.');
      }
      if (this.#steps.waiting) {
        await this.#steps.let('');
      } else {
        await this.#clock.until(() => this.#steps.waiting || this.#running.size === 0);
      }
    }
  }

  /** Begins a `get`; resolves to the content that was shown. */
  async get({ cache }: RowReplica): Promise<number | undefined> {
    return shown(await this.#begun(cache.get(KEY)));
  }

  /** Begins a `getOrLoad`; its loader has two statements, `<replica>: loader reads` and `<replica>: loader answers`. */
  async load({ cache, name }: RowReplica, { fails = false } = {}): Promise<number | undefined> {
    const loader = async (): Promise<Loaded<SimulatedValue>> => {
      await this.#steps.gate(`${name}: loader reads`);
      const before = { content: this.database.content, version: this.database.version };
      await this.#steps.gate(`${name}: loader answers`);
      if (fails) {
        throw new Error('The loader failed.');
      }
      return this.#loaded(before);
    };
    return shown(await this.#begun(cache.getOrLoad(KEY, loader)));
  }

  /** Begins the writer's own part of a commit. */
  committed({ cache }: RowReplica, version: number): Promise<unknown> {
    return this.#begun(cache.invalidate(KEY, stampOf(version)));
  }

  /** Begins a set without a lease. */
  set({ cache }: RowReplica, content: number, version: number): Promise<unknown> {
    return this.#begun(cache.set(KEY, { content }, stampOf(version)));
  }

  evict({ cache }: RowReplica): Promise<unknown> {
    return this.#begun(cache.evict(KEY));
  }

  sweep({ cache }: RowReplica, version: number): Promise<unknown> {
    return this.#begun(cache.sweep(stampOf(version)));
  }

  /** The applier refreshes, at once. */
  async refreshes(version: number, content: number): Promise<ChangeOutcome> {
    const { outcome } = this.#server.refresh({
      ...this.#origin,
      key: this.#names.stored(KEY),
      version: stampOf(version),
      payload: SIMULATED_NAMESPACE.codec.encode({ content }),
      ttlMs: SIMULATED_NAMESPACE.l2TtlMs,
    });
    await settled();
    return outcome;
  }

  /** The applier invalidates, at once. */
  async invalidates(version: number): Promise<ChangeOutcome> {
    const { tombstoneTtlMs } = SIMULATED_NAMESPACE;
    const key = this.#names.stored(KEY);
    const { outcome } = this.#server.invalidate(key, stampOf(version), this.#origin, tombstoneTtlMs);
    await settled();
    return outcome;
  }

  /** The key of the store has lived its time. */
  expires(): void {
    this.#server.expire(this.#names.stored(KEY));
  }

  /** So has what this replica keeps. */
  forgets({ view }: RowReplica): void {
    view.expire(KEY);
  }

  /** Contents that are kept, in the store first; every one is to be the latest at rest. */
  kept(): readonly number[] {
    const entry = this.#server.get(this.#names.stored(KEY));
    const stored = entry?.kind === 'value' ? [SIMULATED_NAMESPACE.codec.decode(entry.payload).content] : [];
    return [...stored, ...this.#replicas.flatMap(({ view }) => view.inspect(KEY)?.value?.content ?? [])];
  }

  /** The stamp and content of the store's value. */
  stored(): { readonly content: number; readonly version: number } | undefined {
    const entry = this.#server.get(this.#names.stored(KEY));
    return entry?.kind === 'value'
      ? { ...SIMULATED_NAMESPACE.codec.decode(entry.payload), version: Number(entry.version.version) }
      : undefined;
  }

  async close(): Promise<void> {
    await Promise.all(this.#replicas.map(({ cache }) => cache.close()));
    this.#server.close();
  }

  #loaded(before: { readonly content: number; readonly version: number }): Loaded<SimulatedValue> {
    const stamp = this.options.stamp ?? 'snapshot';
    const content = stamp === 'earlier' ? this.database.content : before.content;
    return { value: { content }, version: stampOf(stamp === 'later' ? this.database.version : before.version) };
  }

  async #begun<R>(call: Promise<R>): Promise<R> {
    this.#running.add(call);
    try {
      return await call;
    } finally {
      this.#running.delete(call);
    }
  }
}

/** `undefined`: nothing, or an answer that says itself that nothing confirms it. */
function shown(hit: CacheHit<SimulatedValue> | undefined): number | undefined {
  return hit?.stale === false ? hit.value?.content : undefined;
}
