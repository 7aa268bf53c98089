import { Inject, Injectable } from '@nestjs/common';
import { HealthProbe, type ProbeDetails, type ProbeResult } from '@smartpulse/resilience';
import { CdcRegistry } from './registry/cdc.registry.js';
import type { TrackerSnapshot } from './tracker/tracker.state.js';

/** Failed attempts in a row from which a tracker counts as impaired. */
const IMPAIRED_AFTER_ATTEMPTS = 5;
/** Milliseconds behind the database from which a tracker counts as impaired. */
const IMPAIRED_AFTER_MS = 60_000;
/** Share of the retention behind from which a tracker counts as impaired. */
const IMPAIRED_AFTER_RETENTION = 0.5;

/** How the trackers are. They only ever degrade: a replica whose feed stands still serves reads as well as any other. */
@Injectable()
export class CdcHealthProbe extends HealthProbe {
  override readonly name = 'cdc';

  constructor(@Inject(CdcRegistry) private readonly registry: CdcRegistry) {
    super();
  }

  override check(): ProbeResult {
    const snapshots = this.registry.list().map((tracker) => tracker.snapshot());
    const details: ProbeDetails = Object.fromEntries(
      snapshots.map((snapshot) => [
        `${snapshot.consumer}:${snapshot.table}`,
        this.registry.begun ? describe(snapshot) : 'starting',
      ]),
    );
    return { status: snapshots.some(impaired) ? 'degraded' : 'up', details };
  }

  /**
   * `true` once every tracker has come to its first attempt, also one that failed or that waits for the lease: {@link check} says how
   * that goes on, and a database that is down must not keep every replica from starting.
   */
  override started(): boolean {
    return this.registry.begun && this.registry.list().every(({ state }) => state.kind !== 'starting');
  }
}

function impaired(snapshot: TrackerSnapshot): boolean {
  const { leading, consecutiveErrors, behind, caughtUpAgoMs, failure, retentionUsed } = snapshot;
  const late = leading && (behind ?? 0n) > 0n && (caughtUpAgoMs ?? 0) > IMPAIRED_AFTER_MS;
  const nearTheEnd = leading && (retentionUsed ?? 0) > IMPAIRED_AFTER_RETENTION;
  // What only a person can mend is told at once, not after some attempts.
  return consecutiveErrors >= IMPAIRED_AFTER_ATTEMPTS || late || nearTheEnd || failure === 'configuration';
}

function describe({ phase, leading, behind, consecutiveErrors, lastError }: TrackerSnapshot): string {
  const lag = leading && behind !== null ? `, ${behind} versions behind` : '';
  const errors = consecutiveErrors > 0 ? `, ${consecutiveErrors} failed attempts (${lastError})` : '';
  return `${phase}${lag}${errors}`;
}
