import {
  CacheStore,
  type ChangeReply,
  type GivenVersion,
  type LeaseReply,
  type SetAllReply,
  type SetReply,
  type StoredEntry,
  type StoreOrigin,
  type StoreRefresh,
  type StoreWrite,
  type SweepReply,
  type SweepRequest,
} from '../../store/cache.store.js';
import type { EntryVersion } from '../../version/entry-version.js';
import type { StepScheduler } from './step.scheduler.js';

/** One replica's line to the store: every request and every reply is a step of its own, so that they overtake each other. */
export class SimulatedStore extends CacheStore {
  readonly durable = false;
  readonly shared = true;

  constructor(
    private readonly store: CacheStore,
    private readonly replica: string,
    private readonly scheduler: StepScheduler,
    /** Whether the next request is given up, and if so, whether it arrives all the same before that. */
    private readonly fate: () => 'answered' | 'answerLost' | 'late' = () => 'answered',
  ) {
    super();
  }

  override get(key: string): Promise<StoredEntry | undefined> {
    return this.#call('get', () => this.store.get(key));
  }

  override getMany(keys: readonly string[]): Promise<readonly (StoredEntry | undefined)[]> {
    return this.#call('getMany', () => this.store.getMany(keys));
  }

  override set(write: StoreWrite, leaseToken?: string): Promise<SetReply> {
    const what = `set(${versionText(write.version)}${leaseToken === undefined ? '' : ', lease'})`;
    return this.#call(what, () => this.store.set(write, leaseToken));
  }

  override setAll(writes: readonly StoreWrite[]): Promise<readonly SetAllReply[]> {
    return this.#call('setAll', () => this.store.setAll(writes));
  }

  override refresh(write: StoreRefresh): Promise<ChangeReply> {
    return this.#call(`refresh(${write.version.version})`, () => this.store.refresh(write));
  }

  override invalidate(
    key: string,
    version: GivenVersion,
    origin: StoreOrigin,
    tombstoneTtlMs: number,
  ): Promise<ChangeReply> {
    return this.#call(`invalidate(${versionText(version)})`, () =>
      this.store.invalidate(key, version, origin, tombstoneTtlMs),
    );
  }

  override evict(key: string, origin: StoreOrigin): Promise<void> {
    return this.#call('evict', () => this.store.evict(key, origin));
  }

  override getOrLease(key: string, token: string, leaseMs: number, withinMs?: number): Promise<LeaseReply> {
    return this.#call('getOrLease', () => this.store.getOrLease(key, token, leaseMs, withinMs));
  }

  override renewLease(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.#call('renewLease', () => this.store.renewLease(key, token, leaseMs));
  }

  override releaseLease(key: string, token: string, origin: StoreOrigin): Promise<void> {
    return this.#call('releaseLease', () => this.store.releaseLease(key, token, origin));
  }

  override stamp(key: string, ttlMs: number): Promise<EntryVersion> {
    return this.#call('stamp', () => this.store.stamp(key, ttlMs));
  }

  override sweep(request: SweepRequest, cursor?: string): Promise<SweepReply> {
    return this.#call(`sweep(${request.version.version})`, () => this.store.sweep(request, cursor));
  }

  async #call<R>(what: string, execute: () => Promise<R>): Promise<R> {
    const fate = this.fate();
    if (fate === 'late') {
      this.scheduler.add(`${this.replica}: ${what}, given up, executes`, () => void execute());
    } else {
      await this.scheduler.gate(`${this.replica}: ${what} executes`);
      const reply = await execute();
      if (fate === 'answered') {
        await this.scheduler.gate(`${this.replica}: reply of ${what}`);
        return reply;
      }
    }
    await this.scheduler.gate(`${this.replica}: ${what} is given up`);
    throw new Error('No answer.');
  }
}

function versionText(version: GivenVersion): string {
  return version === 'next' ? version : String(version.version);
}
