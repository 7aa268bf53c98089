import type { FirstLevelEntry } from '../../cache/first-level.js';
import { type Flight, LocalView, type SharedLoad } from '../../cache/local-view.js';
import {
  type BroughtValue,
  type ChangeRules,
  EntryProtocol,
  type EntryState,
  type EntryWrite,
  type Step,
} from '../../embedded/entry.protocol.js';
import type { ChangeOutcome, SetOutcome } from '../../store/cache.store.js';
import { SequenceWatch } from '../../redis/messages/sequence-watch.js';
import type { MessageOrigin } from '../../redis/messages/wire-message.js';
import { EntryVersion } from '../../version/entry-version.js';
import type { SimulatedValue, SimulationOptions } from '../simulator/simulation.options.js';

class FloorNotRaised extends EntryProtocol {
  protected override raisedFloor(floor: EntryVersion): EntryVersion {
    return floor;
  }
}

class SilentWhenNothingFound extends EntryProtocol {
  protected override foundNothing(action: 'refresh' | 'invalidate', version: EntryVersion): Step<ChangeOutcome> {
    return { ...super.foundNothing(action, version), publish: undefined };
  }
}

class LateSetLandsOnNothing extends EntryProtocol {
  protected override setAfterLeaseWasLost(state: EntryState | undefined, write: EntryWrite): Step<SetOutcome> {
    return state === undefined ? this.stored(write) : super.setAfterLeaseWasLost(state, write);
  }
}

class LateSetReplacesOlder extends EntryProtocol {
  protected override setAfterLeaseWasLost(state: EntryState | undefined, write: EntryWrite): Step<SetOutcome> {
    return state?.kind === 'value' && write.version.compare(state.version) > 0
      ? this.stored(write)
      : super.setAfterLeaseWasLost(state, write);
  }
}

class SetWithoutLeaseCreates extends EntryProtocol {
  protected override setWithoutLeaseOnNothing(state: EntryState | undefined, write: EntryWrite): Step<SetOutcome> {
    return state === undefined ? this.stored(write) : super.setWithoutLeaseOnNothing(state, write);
  }
}

class SetWithoutLeaseOverLease extends EntryProtocol {
  protected override setWithoutLeaseOnNothing(state: EntryState | undefined, write: EntryWrite): Step<SetOutcome> {
    return state?.kind === 'lease' && write.version.compare(state.floor) > 0
      ? this.stored(write)
      : super.setWithoutLeaseOnNothing(state, write);
  }
}

class ChangesCreate extends EntryProtocol {
  override refresh(state: EntryState | undefined, brought: BroughtValue, rules: ChangeRules): Step<ChangeOutcome> {
    const step = super.refresh(state, brought, rules);
    return step.outcome === 'absent' ? { ...step, next: { kind: 'value', ...brought }, life: 'own' } : step;
  }
}

class ChangesLeaveTombstones extends EntryProtocol {
  override refresh(state: EntryState | undefined, brought: BroughtValue, rules: ChangeRules): Step<ChangeOutcome> {
    const step = super.refresh(state, brought, rules);
    const { version } = brought;
    if (step.outcome !== 'absent') {
      return step;
    }
    // A floor for what comes later; and what is above it is news.
    const next: EntryState = state === undefined ? { kind: 'tombstone', version } : { kind: 'value', ...brought };
    return { ...step, next, life: 'own' };
  }
}

class EvictionsLeaveAFloor extends EntryProtocol {
  override evict(): Step<'applied'> {
    return { ...super.evict(), next: { kind: 'tombstone', version: EntryVersion.ZERO }, life: 'kept' };
  }
}

class FailedLoadsLeaveTheirFloor extends EntryProtocol {
  override release(state: EntryState | undefined, token: string): Step<'released' | 'lost'> {
    const step = super.release(state, token);
    return step.outcome === 'released' && state?.kind === 'lease'
      ? { ...step, next: { kind: 'tombstone', version: state.floor }, life: 'kept' }
      : step;
  }
}

class LeasesOutliveSweeps extends EntryProtocol {
  protected override isSwept(state: Exclude<EntryState, { kind: 'tombstone' }>, version: EntryVersion): boolean {
    return state.kind !== 'lease' && super.isSwept(state, version);
  }
}

class SweepsBelowOnly extends EntryProtocol {
  protected override isSwept(state: Exclude<EntryState, { kind: 'tombstone' }>, version: EntryVersion): boolean {
    return state.kind === 'lease' || state.version.compare(version) < 0;
  }
}

class FlightsNotMarked extends LocalView<SimulatedValue> {
  protected override mark(): void {}
}

class OldLoadsJoined extends LocalView<SimulatedValue> {
  protected override takeOutIfBehind(_load: SharedLoad<SimulatedValue>): void {}
}

class RepliesTeachNothing extends LocalView<SimulatedValue> {
  override learn(key: string, version: EntryVersion, showing?: Flight): void {
    if (showing === undefined) {
      super.learn(key, version);
    }
  }
}

class FlushForgetsFlights extends LocalView<SimulatedValue> {
  protected override begunBeforeFlush(): boolean {
    return false;
  }
}

class EpochsNotCompared extends LocalView<SimulatedValue> {
  override learn(key: string, version: EntryVersion, showing?: Flight): void {
    super.learn(key, new EntryVersion(1n, version.version, version.minor), showing);
  }
}

class RemovedComesBack extends LocalView<SimulatedValue> {
  #latest: FirstLevelEntry<SimulatedValue> | undefined;

  override fill(flight: Flight, entry: FirstLevelEntry<SimulatedValue>): void {
    this.#latest = entry;
    super.fill(flight, entry);
  }

  override lastKnown(key: string, nowMs: number): FirstLevelEntry<SimulatedValue> | undefined {
    return super.lastKnown(key, nowMs) ?? this.#latest;
  }
}

class JoinersGetTheFirstAnswer extends LocalView<SimulatedValue> {
  override shared(key: string): SharedLoad<SimulatedValue> | undefined {
    const load = super.shared(key);
    const first = load?.meanwhile?.();
    if (load?.meanwhile !== undefined && first !== undefined) {
      load.meanwhile = () => first;
    }
    return load;
  }
}

class NumbersNotCompared extends SequenceWatch {
  override misses(origin: MessageOrigin, heartbeat: boolean): boolean {
    // As if everything had come until now.
    this.know({ ...origin, sequence: heartbeat ? origin.sequence : origin.sequence - 1 });
    return super.misses(origin, heartbeat);
  }
}

class FirstOnesTakenAsTheyCome extends SequenceWatch {
  readonly #heard = new Set<string>();

  override misses(origin: MessageOrigin, heartbeat: boolean): boolean {
    if (!this.#heard.has(origin.epoch)) {
      this.#heard.add(origin.epoch);
      this.know(origin);
    }
    return super.misses(origin, heartbeat);
  }
}

const PROTOCOLS = {
  'a change raises the floor of a lease': FloorNotRaised,
  'a change that finds nothing is published': SilentWhenNothingFound,
  'a set whose lease is gone is refused on an absent key': LateSetLandsOnNothing,
  'a set whose lease is gone is refused on an older value': LateSetReplacesOlder,
  'a set without a lease creates nothing': SetWithoutLeaseCreates,
  'a set without a lease does not overtake a lease': SetWithoutLeaseOverLease,
  'changes never create a value': ChangesCreate,
  'changes never create a tombstone': ChangesLeaveTombstones,
  'an eviction leaves no floor': EvictionsLeaveAFloor,
  'a failed load leaves no floor': FailedLoadsLeaveTheirFloor,
  'a sweep kills leases': LeasesOutliveSweeps,
  'a sweep takes what is stamped at its version': SweepsBelowOnly,
} as const;

const VIEWS = {
  'what is learned marks flights': FlightsNotMarked,
  'a load that is behind is joined by nobody': OldLoadsJoined,
  'stamps of replies act like messages': RepliesTeachNothing,
  'what began before a flush never fills': FlushForgetsFlights,
  'what was removed does not come back': RemovedComesBack,
  'who joins a load that takes long is shown what is kept now': JoinersGetTheFirstAnswer,
  'a later epoch is above every version of the one before': EpochsNotCompared,
} as const;

const WATCHES = {
  'a number that is missing is noticed': NumbersNotCompared,
  'who was not heard of before may have said something': FirstOnesTakenAsTheyCome,
} as const;

/** A rule of the cache that a test can take away, to see what it is for. */
export type CacheRule = keyof typeof PROTOCOLS | keyof typeof VIEWS | keyof typeof WATCHES;

/** The cache without one of its rules. */
export function withoutRule(rule: CacheRule): Pick<SimulationOptions, 'protocol' | 'view' | 'watch'> {
  if (isWatchRule(rule)) {
    const Watch = WATCHES[rule];
    return { watch: () => new Watch(0) };
  }
  if (isViewRule(rule)) {
    const View = VIEWS[rule];
    return { view: (options) => new View(options) };
  }
  return { protocol: new PROTOCOLS[rule]() };
}

function isWatchRule(rule: CacheRule): rule is keyof typeof WATCHES {
  return rule in WATCHES;
}

function isViewRule(rule: CacheRule): rule is keyof typeof VIEWS {
  return rule in VIEWS;
}
