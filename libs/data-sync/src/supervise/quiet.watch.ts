import type { ChangeTracker, ChangeVersion } from '@smartpulse/cdc';
import type { Clock } from '@smartpulse/resilience';
import type { FeedSubscription, SyncActivity, SyncWorkers } from './sync.activity.js';

/** A consumer that could work and had nothing to do for so long leaves what is missing to the other replicas of its subscription. */
const IDLE_MS = 1_000;

/** Looks again and again at what still moves before everything up to one version has arrived. */
export class QuietWatch {
  readonly #activity: SyncActivity;
  readonly #target: ChangeVersion;
  readonly #clock: Clock;
  readonly #idle = new Map<FeedSubscription, { readonly received: number; readonly sinceMs: number }>();

  constructor(activity: SyncActivity, target: ChangeVersion, clock: Clock) {
    this.#activity = activity;
    this.#target = target;
    this.#clock = clock;
  }

  /** What still moves; empty = quiet. Never names a key. */
  reasons(): readonly string[] {
    const { syncs, outboxes } = this.#activity;
    return [
      ...this.#activity.trackers().flatMap((tracker) => behind(tracker, this.#target)),
      ...syncs.flatMap(unpublished),
      ...outboxes.filter(({ relay }) => relay.stats.inFlight > 0).map(({ table }) => `${table} is being relayed`),
      ...this.#activity.subscriptions().flatMap(busy),
      ...syncs.flatMap((workers) => this.#unapplied(workers)),
    ];
  }

  #unapplied({ sync, publish, apply }: SyncWorkers): readonly string[] {
    const last = publish?.publisher.position;
    if (apply === undefined || last === undefined || apply.applier.covers(last.fence, last.seq)) {
      return [];
    }
    return this.#isIdle(apply.subscription) ? [] : [`changes of ${sync.table} are published and not applied yet`];
  }

  /** Shared subscription: what did not come here may have been applied elsewhere. */
  #isIdle(subscription: FeedSubscription): boolean {
    if (subscription.state.kind !== 'standing' || subscription.state.handle.state.status !== 'consuming') {
      return false;
    }
    const { received, inFlight } = subscription.state.handle.stats();
    const nowMs = this.#clock.monotonic();
    const last = this.#idle.get(subscription);
    if (last === undefined || last.received !== received || inFlight > 0) {
      this.#idle.set(subscription, { received, sinceMs: nowMs });
      return false;
    }
    return nowMs - last.sinceMs >= IDLE_MS;
  }
}

function behind(tracker: ChangeTracker, target: ChangeVersion): readonly string[] {
  const { epoch, version, leading } = tracker.snapshot();
  if (!leading) {
    return [`${tracker.table} is not read by this replica`];
  }
  const there =
    epoch !== null &&
    version !== null &&
    (epoch > target.epoch || (epoch === target.epoch && version >= target.version));
  return there
    ? []
    : [`${tracker.table} is read up to ${version ?? 'nothing yet'}, the database is at ${target.version}`];
}

function unpublished({ sync, publish }: SyncWorkers): readonly string[] {
  return publish !== undefined && publish.publisher.stats.inFlight > 0 ? [`${sync.table} is being published`] : [];
}

function busy({ name, state }: FeedSubscription): readonly string[] {
  if (state.kind !== 'standing') {
    return [`the subscription "${name}" is ${state.kind}`];
  }
  const { inFlight } = state.handle.stats();
  return inFlight === 0 ? [] : [`the subscription "${name}" works on ${inFlight} messages`];
}
