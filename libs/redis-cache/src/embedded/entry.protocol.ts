import type { InvalidationAction } from '../invalidation/invalidation.bus.js';
import type { ChangeOutcome, SetOutcome } from '../store/cache.store.js';
import { EntryVersion } from '../version/entry-version.js';

/** The state of a key, without its time; `P` is what a value is made of. Absent = `undefined`. A lease whose `token` is null is free: its floor waits for the next holder. */
export type EntryState<P = string> =
  | { readonly kind: 'value'; readonly version: EntryVersion; readonly payload: P }
  | { readonly kind: 'negative'; readonly version: EntryVersion }
  | { readonly kind: 'tombstone'; readonly version: EntryVersion }
  | { readonly kind: 'lease'; readonly floor: EntryVersion; readonly token: string | null };

/** How long the next state lives: of its own, as long as the one before it (or as an earlier lease), or the longer of both. */
export type Life = 'own' | 'kept' | 'longest';

/** One atomic step: what the key becomes, what is answered, what is published. */
export interface Step<TOutcome, P = string> {
  readonly outcome: TOutcome;
  /** `undefined` = absent. */
  readonly next: EntryState<P> | undefined;
  readonly life: Life;
  readonly publish?: { readonly action: InvalidationAction; readonly version: EntryVersion | null } | undefined;
}

/** What is to be written. */
export interface EntryWrite<P = string> {
  readonly version: EntryVersion;
  readonly payload: P | null;
  readonly synced: boolean;
}

/**
 * The rules of one key, as pure steps: what each request does to each state. Every store follows them; the embedded one runs this very class.
 * The protected methods are single rules, so that a test can show what each of them is for.
 */
export class EntryProtocol<P = string> {
  /** A value or negative entry, with or without a lease. */
  set(state: EntryState<P> | undefined, write: EntryWrite<P>, token: string | undefined): Step<SetOutcome, P> {
    if (token !== undefined) {
      return this.#setUnderLease(state, write, token);
    }
    if (state === undefined) {
      return write.synced ? this.setWithoutLeaseOnNothing(state, write) : this.stored(write);
    }
    if (state.kind === 'lease') {
      if (write.synced) {
        return this.setWithoutLeaseOnNothing(state, write);
      }
      return write.version.compare(state.floor) > 0 ? this.stored(write) : unchanged('stale', state);
    }
    const order = write.version.compare(state.version);
    return order > 0 ? this.stored(write) : unchanged(order === 0 ? 'duplicate' : 'stale', state);
  }

  /** A change brings a value: never creates. */
  refresh(state: EntryState<P> | undefined, version: EntryVersion, payload: P): Step<ChangeOutcome, P> {
    if (state === undefined) {
      return this.foundNothing('refresh', version);
    }
    if (state.kind === 'lease') {
      return this.#deferred('refresh', state, version);
    }
    const order = version.compare(state.version);
    if (order <= 0) {
      return published('refresh', unchanged(order === 0 ? 'duplicate' : 'stale', state), state.version);
    }
    if (state.kind === 'tombstone') {
      // Nothing to refresh; the floor for late writers rises all the same.
      return published('refresh', { outcome: 'absent', next: { kind: 'tombstone', version }, life: 'kept' }, version);
    }
    return published(
      'refresh',
      { outcome: 'applied', next: { kind: 'value', version, payload }, life: 'own' },
      version,
    );
  }

  /** A change made everything below `version` old. */
  invalidate(state: EntryState<P> | undefined, version: EntryVersion, synced: boolean): Step<ChangeOutcome, P> {
    const left: EntryState<P> | undefined = synced ? undefined : { kind: 'tombstone', version };
    if (state === undefined) {
      return synced
        ? this.foundNothing('invalidate', version)
        : published('invalidate', { outcome: 'absent', next: left, life: 'own' }, version);
    }
    if (state.kind === 'lease') {
      return this.#deferred('invalidate', state, version);
    }
    const order = version.compare(state.version);
    if (order <= 0) {
      return published('invalidate', unchanged(order === 0 ? 'duplicate' : 'stale', state), state.version);
    }
    return published('invalidate', { outcome: 'applied', next: left, life: 'own' }, version);
  }

  /** The key becomes absent, with no floor, and a lease is dead. */
  evict(): Step<'applied', P> {
    return {
      outcome: 'applied',
      next: undefined,
      life: 'own',
      publish: { action: 'evict', version: null },
    };
  }

  /**
   * What is stamped at or below `version` is gone, and a lease is dead. The key becomes absent: a floor would have to be above the version, and
   * nothing need ever be stamped so. Every replica is told once the whole namespace is swept.
   */
  sweep(state: EntryState<P>, version: EntryVersion, synced: boolean): Step<'swept' | 'kept', P> {
    if (state.kind === 'tombstone' || !this.isSwept(state, version)) {
      return unchanged('kept', state);
    }
    const stamp = EntryVersion.max(version, state.kind === 'lease' ? state.floor : state.version);
    return { outcome: 'swept', next: synced ? undefined : { kind: 'tombstone', version: stamp }, life: 'own' };
  }

  /** A usable entry, the lease, or word that another has it. */
  getOrLease(state: EntryState<P> | undefined, token: string): Step<'hit' | 'leased' | 'wait', P> {
    if (state?.kind === 'value' || state?.kind === 'negative') {
      return unchanged('hit', state);
    }
    if (state?.kind === 'lease' && state.token !== null && state.token !== token) {
      return unchanged('wait', state);
    }
    const floor = state === undefined ? EntryVersion.ZERO : state.kind === 'lease' ? state.floor : state.version;
    return { outcome: 'leased', next: { kind: 'lease', floor, token }, life: 'own' };
  }

  /** The lease of `token` stands. */
  holds(state: EntryState<P> | undefined, token: string): boolean {
    return state?.kind === 'lease' && state.token === token;
  }

  /** A failed load gives its lease back: absent, never a floor, for it does not know what was applied before it. */
  release(state: EntryState<P> | undefined, token: string): Step<'released' | 'lost', P> {
    return this.holds(state, token)
      ? { outcome: 'released', next: undefined, life: 'own', publish: { action: 'release', version: null } }
      : unchanged('lost', state);
  }

  /** Rule: a change or invalidation raises the floor of a lease, and never lowers it. */
  protected raisedFloor(floor: EntryVersion, version: EntryVersion): EntryVersion {
    return EntryVersion.max(floor, version);
  }

  /** Rule: a change that finds nothing is told to everybody, for its value may be in a reply under way. */
  protected foundNothing(action: 'refresh' | 'invalidate', version: EntryVersion): Step<ChangeOutcome, P> {
    return published(action, unchanged('absent', undefined), version);
  }

  /** Rule: a sweep takes what is stamped at or below its version, and every lease: its loader may have begun before. */
  protected isSwept(state: Exclude<EntryState<P>, { kind: 'tombstone' }>, version: EntryVersion): boolean {
    return state.kind === 'lease' || state.version.compare(version) <= 0;
  }

  /** Rule: a set whose lease is gone is refused, whatever it finds. */
  protected setAfterLeaseWasLost(state: EntryState<P> | undefined, _write: EntryWrite<P>): Step<SetOutcome, P> {
    return unchanged('leaseLost', state);
  }

  /** Rule: in a synced namespace a set without a lease never creates. */
  protected setWithoutLeaseOnNothing(state: EntryState<P> | undefined, _write: EntryWrite<P>): Step<SetOutcome, P> {
    return unchanged('absent', state);
  }

  #setUnderLease(state: EntryState<P> | undefined, write: EntryWrite<P>, token: string): Step<SetOutcome, P> {
    if (state?.kind !== 'lease' || state.token !== token) {
      return this.setAfterLeaseWasLost(state, write);
    }
    if (write.version.compare(state.floor) >= 0) {
      return this.stored(write);
    }
    // Free for the next loader, who must not bring less either. Published, so that waiters do not wait for the next poll.
    return {
      outcome: 'stale',
      next: { kind: 'lease', floor: state.floor, token: null },
      life: 'kept',
      publish: { action: 'release', version: null },
    };
  }

  /** The step that stores a write. */
  protected stored({ version, payload }: EntryWrite<P>): Step<SetOutcome, P> {
    const next: EntryState<P> = payload === null ? { kind: 'negative', version } : { kind: 'value', version, payload };
    return published('set', { outcome: 'applied', next, life: 'own' }, version);
  }

  #deferred(
    action: 'refresh' | 'invalidate',
    state: Extract<EntryState<P>, { kind: 'lease' }>,
    version: EntryVersion,
  ): Step<ChangeOutcome, P> {
    const floor = this.raisedFloor(state.floor, version);
    return published(
      action,
      { outcome: 'deferred', next: { ...state, floor }, life: 'kept' },
      EntryVersion.max(floor, version),
    );
  }
}

function unchanged<TOutcome, P>(outcome: TOutcome, state: EntryState<P> | undefined): Step<TOutcome, P> {
  return { outcome, next: state, life: 'kept' };
}

function published<TOutcome, P>(
  action: InvalidationAction,
  step: Step<TOutcome, P>,
  version: EntryVersion,
): Step<TOutcome, P> {
  return { ...step, publish: { action, version } };
}
