import type { ChangeTracker, ChangeVersion } from '@smartpulse/cdc';
import type { FeedSubscription, SyncActivity, SyncWorkers } from './sync.activity.js';

/** What still moves before everything up to `target` has arrived; empty = quiet. Never names a key. */
export function reasonsNotQuiet(activity: SyncActivity, target: ChangeVersion): readonly string[] {
  return [
    ...activity.trackers().flatMap((tracker) => behind(tracker, target)),
    ...activity.syncs.flatMap(unpublished),
    ...activity.outboxes
      .filter(({ relay }) => relay.stats.inFlight > 0)
      .map(({ table }) => `${table} is being relayed`),
    ...activity.subscriptions().flatMap(busy),
    ...activity.syncs.flatMap(unapplied),
  ];
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

function unapplied({ sync, publish, apply }: SyncWorkers): readonly string[] {
  const last = publish?.publisher.position;
  if (apply === undefined || last === undefined || apply.applier.covers(last.fence, last.seq)) {
    return [];
  }
  return [`changes of ${sync.table} are published and not applied yet`];
}
