import type { InvalidationAction } from '../invalidation/invalidation.bus.js';
import type { ChangeOutcome, SetOutcome } from '../store/cache.store.js';
import { EntryVersion } from '../version/entry-version.js';

/** The state of a key, without its time; `P` is what a value is made of. Absent = `undefined`. A lease whose `token` is null is free: its floor waits for the next holder. */
export type EntryState<P = string> =
  | {
      readonly kind: 'value';
      readonly version: EntryVersion;
      readonly payload: P;
      /** On the server's clock; later it counts as old. `undefined`: it does not while it is there. */
      readonly freshUntilMs?: number | undefined;
      /** It is loaded anew while it stands. */
      readonly renewal?: Renewal | undefined;
    }
  | { readonly kind: 'negative'; readonly version: EntryVersion }
  | { readonly kind: 'tombstone'; readonly version: EntryVersion }
  | { readonly kind: 'lease'; readonly floor: EntryVersion; readonly token: string | null };

/** A lease over a value that stays meanwhile. */
export interface Renewal {
  readonly token: string;
  readonly untilMs: number;
}

/** How long the next state lives: of its own, as long as the one before it, the longer of both, or so many milliseconds. */
export type Life = 'own' | 'kept' | 'longest' | number;

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
  readonly freshUntilMs?: number | undefined;
}

/** A value that a change brings. */
export interface BroughtValue<P = string> {
  readonly version: EntryVersion;
  readonly payload: P;
  readonly freshUntilMs?: number | undefined;
}

/** What a change may do to a namespace. */
export interface ChangeRules {
  readonly synced: boolean;
  /** A synced namespace in which changes create. */
  readonly populate?: boolean | undefined;
}

/** Who asks for a lease, and how close to its end a value is loaded anew; without `withinMs` it never is. */
export interface LeaseRequest {
  readonly token: string;
  readonly nowMs: number;
  readonly leaseMs: number;
  readonly withinMs?: number | undefined;
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

  /** A version above what the key holds, and not below the clock. */
  next(state: EntryState<P> | undefined, nowMs: number): EntryVersion {
    const clock = new EntryVersion(0n, BigInt(Math.floor(nowMs * 1_000)));
    const held = state === undefined ? EntryVersion.ZERO : state.kind === 'lease' ? state.floor : state.version;
    return clock.compare(held) > 0 ? clock : new EntryVersion(held.epoch, held.version, held.minor + 1n);
  }

  /** A change brings a value: never creates, unless the namespace is populated by changes. */
  refresh(state: EntryState<P> | undefined, brought: BroughtValue<P>, rules: ChangeRules): Step<ChangeOutcome, P> {
    const { version } = brought;
    const creates = rules.populate === true;
    const stored: Step<ChangeOutcome, P> = {
      outcome: 'applied',
      next: { kind: 'value', ...brought },
      life: 'own',
    };
    if (state === undefined) {
      return creates ? published('refresh', stored, version) : this.foundNothing('refresh', version);
    }
    if (state.kind === 'lease') {
      return this.#deferred('refresh', state, version);
    }
    const order = version.compare(state.version);
    if (state.kind === 'tombstone' && creates && order === 0) {
      // What is below the tombstone's version is gone; what has it is what the tombstone's maker saw.
      return published('refresh', stored, version);
    }
    if (order <= 0) {
      return published('refresh', unchanged(order === 0 ? 'duplicate' : 'stale', state), state.version);
    }
    if (state.kind === 'tombstone' && !creates) {
      // Nothing to refresh; the floor for late writers rises all the same.
      return published('refresh', { outcome: 'absent', next: { kind: 'tombstone', version }, life: 'kept' }, version);
    }
    return published('refresh', stored, version);
  }

  /**
   * A change made everything below `version` old.
   *
   * @param own the version is the store's: a loader that is at work has none to show that it saw what made the value old.
   */
  invalidate(
    state: EntryState<P> | undefined,
    version: EntryVersion,
    rules: ChangeRules,
    nowMs: number,
    own = false,
  ): Step<ChangeOutcome, P> {
    const left: EntryState<P> | undefined = leavesTombstones(rules) ? { kind: 'tombstone', version } : undefined;
    if (state === undefined) {
      return left === undefined
        ? this.foundNothing('invalidate', version)
        : published('invalidate', { outcome: 'absent', next: left, life: 'own' }, version);
    }
    if (state.kind === 'lease') {
      return own
        ? published('invalidate', { outcome: 'applied', next: left, life: 'own' }, version)
        : this.#deferred('invalidate', state, version);
    }
    const order = version.compare(state.version);
    if (order <= 0) {
      return published('invalidate', unchanged(order === 0 ? 'duplicate' : 'stale', state), state.version);
    }
    const renewal = state.kind === 'value' ? state.renewal : undefined;
    if (renewal !== undefined && renewal.untilMs > nowMs && !own) {
      // The value goes, its loader stays: what it brings has to be of this version.
      const lease: EntryState<P> = { kind: 'lease', floor: version, token: renewal.token };
      return published('invalidate', { outcome: 'deferred', next: lease, life: renewal.untilMs - nowMs }, version);
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
  sweep(state: EntryState<P>, version: EntryVersion, rules: ChangeRules): Step<'swept' | 'kept', P> {
    if (state.kind === 'tombstone') {
      return unchanged('kept', state);
    }
    if (!this.isSwept(state, version)) {
      return state.kind === 'value' && state.renewal !== undefined
        ? { outcome: 'swept', next: { ...state, renewal: undefined }, life: 'kept' }
        : unchanged('kept', state);
    }
    const stamp = EntryVersion.max(version, state.kind === 'lease' ? state.floor : state.version);
    const left: EntryState<P> | undefined = leavesTombstones(rules) ? { kind: 'tombstone', version: stamp } : undefined;
    return { outcome: 'swept', next: left, life: 'own' };
  }

  /** A usable entry, the lease, or word that another has it. */
  getOrLease(state: EntryState<P> | undefined, request: LeaseRequest): Step<'hit' | 'leased' | 'wait', P> {
    const { token, nowMs, leaseMs, withinMs } = request;
    const freshMs = state?.kind === 'value' && state.freshUntilMs !== undefined ? state.freshUntilMs - nowMs : Infinity;
    if (state?.kind === 'value' && withinMs !== undefined && freshMs <= withinMs) {
      const { renewal } = state;
      if (renewal !== undefined && renewal.untilMs > nowMs && renewal.token !== token) {
        return unchanged(freshMs > 0 ? 'hit' : 'wait', state);
      }
      return {
        outcome: 'leased',
        next: { ...state, renewal: { token, untilMs: nowMs + leaseMs } },
        life: 'longest',
      };
    }
    if (state?.kind === 'value' || state?.kind === 'negative') {
      return unchanged('hit', state);
    }
    if (state?.kind === 'lease' && state.token !== null && state.token !== token) {
      return unchanged('wait', state);
    }
    const floor = state === undefined ? EntryVersion.ZERO : state.kind === 'lease' ? state.floor : state.version;
    return { outcome: 'leased', next: { kind: 'lease', floor, token }, life: 'own' };
  }

  /** The lease of `token`, if it stands, lives anew. */
  renew(state: EntryState<P> | undefined, { token, nowMs, leaseMs }: LeaseRequest): Step<'renewed' | 'lost', P> {
    if (state?.kind === 'lease' && state.token === token) {
      return { outcome: 'renewed', next: { ...state }, life: 'own' };
    }
    if (state?.kind === 'value' && state.renewal?.token === token) {
      const renewal = { token, untilMs: nowMs + leaseMs };
      return { outcome: 'renewed', next: { ...state, renewal }, life: 'longest' };
    }
    return unchanged('lost', state);
  }

  /** A failed load gives its lease back: absent, never a floor, for it does not know what was applied before it. A value that stayed stays. */
  release(state: EntryState<P> | undefined, token: string): Step<'released' | 'lost', P> {
    const publish = { action: 'release', version: null } as const;
    if (state?.kind === 'lease' && state.token === token) {
      return { outcome: 'released', next: undefined, life: 'own', publish };
    }
    if (state?.kind === 'value' && state.renewal?.token === token) {
      return { outcome: 'released', next: { ...state, renewal: undefined }, life: 'kept', publish };
    }
    return unchanged('lost', state);
  }

  /** What stands for a key without a value of its own. */
  stamp(state: EntryState<P> | undefined, nowMs: number): Step<'stamped', P> {
    const version = state?.kind === 'tombstone' ? state.version : this.next(state, nowMs);
    return { outcome: 'stamped', next: { kind: 'tombstone', version }, life: 'own' };
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
    if (state?.kind === 'value' && state.renewal?.token === token) {
      // Every change since the lease has acted on the value itself, so that one at or above it lacks none of them.
      return write.version.compare(state.version) >= 0
        ? this.stored(write)
        : {
            outcome: 'stale',
            next: { ...state, renewal: undefined },
            life: 'kept',
            publish: { action: 'release', version: null },
          };
    }
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
  protected stored({ version, payload, freshUntilMs }: EntryWrite<P>): Step<SetOutcome, P> {
    const next: EntryState<P> =
      payload === null ? { kind: 'negative', version } : { kind: 'value', version, payload, freshUntilMs };
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

/** What is removed leaves a tombstone where changes or users create. */
function leavesTombstones({ synced, populate }: ChangeRules): boolean {
  return !synced || populate === true;
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
