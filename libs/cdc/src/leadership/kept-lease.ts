import { Logger } from '@nestjs/common';
import type { Clock, Timer } from '@smartpulse/resilience';
import type { Lease } from './leadership.js';

/** What was granted. */
export interface LeaseGrant {
  readonly resource: string;
  readonly fence: bigint;
  /** How long it lives without being renewed. */
  readonly ttlMs: number;
  /** The monotonic time before it was asked for: so it ends here earlier than in the store. */
  readonly sinceMs: number;
}

/**
 * What became of a renewal. Renewed, it lives on from the monotonic time before the store was asked. `taken`: another holds it. `surplus`: another replica gets it, which has less than its share. `failed`: it will
 * not succeed any more; a rejection says that it may.
 */
export type LeaseRenewal = { readonly renewedSinceMs: number } | 'taken' | 'surplus' | 'failed';

const ENDS: Readonly<Record<Extract<LeaseRenewal, string>, string>> = Object.freeze({
  taken: 'another replica holds it',
  surplus: 'another replica gets it, which has less than its share',
  failed: 'it could not be renewed',
});

/** Where the lease is written. */
export interface LeaseRecord {
  /** @param ended of the lease: once it aborted here, it must not live on in the store. */
  readonly renew: (ended: AbortSignal) => Promise<LeaseRenewal>;
  /** Gives it back, also after it was lost here: as long as no other has taken it, the next holder need not wait for its end. */
  readonly free: () => Promise<void>;
}

/**
 * A lease that renews itself every third of its life, measured on the monotonic clock, and ends a sixth before the store lets another take
 * it. A renewal that fails is tried again until then.
 */
export class KeptLease implements Lease {
  readonly resource: string;
  readonly fence: bigint;
  readonly #logger = new Logger(KeptLease.name);
  readonly #clock: Clock;
  readonly #grant: LeaseGrant;
  readonly #record: LeaseRecord;
  readonly #onEnd: (lease: KeptLease) => void;
  readonly #ended = new AbortController();
  #renewal: Timer | undefined;
  #deadline: Timer | undefined;
  #freed = false;
  #sinceMs: number;

  /** @param onEnd called once, when it ends for whatever reason. */
  constructor(clock: Clock, grant: LeaseGrant, record: LeaseRecord, onEnd: (lease: KeptLease) => void) {
    this.resource = grant.resource;
    this.fence = grant.fence;
    this.#clock = clock;
    this.#grant = grant;
    this.#record = record;
    this.#onEnd = onEnd;
    this.#sinceMs = grant.sinceMs;
    this.#hold();
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  async release(): Promise<void> {
    this.end('it was released');
    if (!this.#freed) {
      await this.#record.free();
      this.#freed = true;
    }
  }

  /** It is over here, whatever the store says. */
  end(why: string): void {
    this.#renewal?.cancel();
    this.#deadline?.cancel();
    if (!this.#ended.signal.aborted) {
      this.#ended.abort(new Error(`The lease of "${this.resource}" ended: ${why}.`));
      this.#onEnd(this);
    }
  }

  /** The store was asked at `sinceMs` to let it live, by whomever, and does. */
  renewed(sinceMs: number): void {
    if (!this.#ended.signal.aborted && sinceMs > this.#sinceMs) {
      this.#sinceMs = sinceMs;
      this.#hold();
    }
  }

  #hold(): void {
    const { ttlMs } = this.#grant;
    const elapsedMs = this.#clock.monotonic() - this.#sinceMs;
    this.#deadline?.cancel();
    this.#deadline = this.#clock.setTimer((ttlMs * 5) / 6 - elapsedMs, () => this.end('it was not renewed in time'));
    this.#renewIn(ttlMs / 3 - elapsedMs);
  }

  #renewIn(delayMs: number): void {
    this.#renewal?.cancel();
    this.#renewal = this.#clock.setTimer(delayMs, () => {
      this.#renew().catch((error: unknown) => {
        this.#logger.warn(
          `The lease of "${this.resource}" could not be renewed (${error instanceof Error ? error.name : typeof error}).`,
        );
        if (!this.#ended.signal.aborted) {
          this.#renewIn(this.#grant.ttlMs / 12);
        }
      });
    });
  }

  async #renew(): Promise<void> {
    const renewal = await this.#record.renew(this.#ended.signal);
    if (this.#ended.signal.aborted) {
      return;
    }
    if (typeof renewal === 'object') {
      this.renewed(renewal.renewedSinceMs);
      return;
    }
    this.end(ENDS[renewal]);
    if (renewal === 'surplus') {
      await this.release();
    }
  }
}
