import { HealthProbe, type ProbeDetails, type ProbeResult } from '@smartpulse/resilience';
import type { SyncActivity } from './sync.activity.js';

/** How the syncs are: lag from commit to cache, and whether every subscription stands. Degrades only: readers serve what they have. */
export class DataSyncHealthProbe extends HealthProbe {
  override readonly name = 'data-sync';
  readonly #activity: SyncActivity;

  constructor(activity: SyncActivity) {
    super();
    this.#activity = activity;
  }

  override check(): ProbeResult {
    const subscriptions = this.#activity.subscriptions();
    const refused = subscriptions.filter(({ state }) => state.kind === 'refused').length;
    const down = subscriptions.filter(
      ({ state }) => state.kind === 'standing' && state.handle.state.status === 'outage',
    ).length;
    const details: Record<string, ProbeDetails[string]> = {
      subscriptions: subscriptions.length,
      refusedSubscriptions: refused,
      subscriptionsInOutage: down,
    };
    for (const { name, publish, apply, lag } of this.#activity.stats().syncs) {
      if (publish !== undefined) {
        details[`${name}.published`] = publish.publishedEnvelopes;
        details[`${name}.poison`] = publish.poison;
      }
      if (apply !== undefined) {
        details[`${name}.applied`] = apply.applied;
        details[`${name}.untrusted`] = apply.untrusted;
        details[`${name}.lagP50Ms`] = lag?.p50Ms ?? null;
        details[`${name}.lagP99Ms`] = lag?.p99Ms ?? null;
      }
    }
    return { status: refused + down > 0 ? 'degraded' : 'up', details };
  }

  /** Started when no subscription is still asked for. */
  override started(): boolean {
    return this.#activity.subscriptions().every(({ state }) => state.kind !== 'asked');
  }
}
