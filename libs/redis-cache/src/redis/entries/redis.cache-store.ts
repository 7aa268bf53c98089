import {
  CacheStore,
  type ChangeOutcome,
  type ChangeReply,
  type LeaseReply,
  type SetOutcome,
  type SetReply,
  type StoredEntry,
  type StoreOrigin,
  type StoreWrite,
  type SweepReply,
  type SweepRequest,
} from '../../store/cache.store.js';
import { EntryVersion } from '../../version/entry-version.js';
import { entryText, expiryText, readEntry, readVersion } from './entry-text.js';
import type { RedisLink } from '../connection/redis.link.js';
import type { ScriptName } from './scripts.js';

const SET_OUTCOMES: ReadonlySet<string> = new Set<SetOutcome>(['applied', 'duplicate', 'stale', 'leaseLost', 'absent']);
const CHANGE_OUTCOMES: ReadonlySet<string> = new Set<ChangeOutcome>([
  'applied',
  'duplicate',
  'stale',
  'absent',
  'deferred',
]);
const BEGINNING = '0';

/** The second level in Redis: one string per key, read by a plain GET, changed by scripts of one key each that publish in the same step. */
export class RedisCacheStore extends CacheStore {
  readonly durable = true;
  readonly shared = true;

  constructor(private readonly link: RedisLink) {
    super();
  }

  override get(key: string): Promise<StoredEntry | undefined> {
    return this.link.get(key).then((text) => readEntry(text, this.link.nowMs()));
  }

  override async getMany(keys: readonly string[]): Promise<readonly (StoredEntry | undefined)[]> {
    const texts = await this.link.getMany(keys);
    const nowMs = this.link.nowMs();
    return keys.map((_, index) => readEntry(texts[index] ?? null, nowMs));
  }

  override async set(write: StoreWrite, leaseToken = ''): Promise<SetReply> {
    const text = this.#text(write);
    const { key, version, synced, ttlMs } = write;
    const [outcome, current] = await this.#tell('smartpulseSet', key, write, [
      version.toString(),
      flag(synced),
      leaseToken,
      text,
      lifeMs(ttlMs),
    ]);
    if (!isSetOutcome(outcome)) {
      throw unexpected('set', outcome);
    }
    const stands = outcome === 'applied' ? text : typeof current === 'string' ? current : null;
    return { outcome, current: readEntry(stands, this.link.nowMs()) };
  }

  override async refresh(write: StoreWrite & { readonly payload: string }): Promise<ChangeReply> {
    const parameters = [write.version.toString(), this.#text(write), lifeMs(write.ttlMs)];
    return changeReply('refresh', await this.#tell('smartpulseRefresh', write.key, write, parameters));
  }

  override async invalidate(
    key: string,
    version: EntryVersion,
    origin: StoreOrigin,
    tombstoneTtlMs: number,
  ): Promise<ChangeReply> {
    const tombstone = entryText('T', version, this.link.nowMs() + tombstoneTtlMs);
    const parameters = [version.toString(), flag(origin.synced), tombstone, lifeMs(tombstoneTtlMs)];
    return changeReply('invalidate', await this.#tell('smartpulseInvalidate', key, origin, parameters));
  }

  override async evict(key: string, origin: StoreOrigin): Promise<void> {
    await this.#tell('smartpulseEvict', key, origin, []);
  }

  override async getOrLease(key: string, token: string, leaseMs: number): Promise<LeaseReply> {
    const reply = await this.link.run(
      'smartpulseGetOrLease',
      key,
      ...UNTOLD,
      token,
      lifeMs(leaseMs),
      this.#expiry(leaseMs),
      EntryVersion.ZERO.toString(),
    );
    const [kind, what] = Array.isArray(reply) ? (reply as unknown[]) : [];
    if (kind === 'wait' && typeof what === 'number') {
      return { kind, remainingMs: Math.max(0, what) };
    }
    if (kind === 'leased' && typeof what === 'string') {
      return { kind, floor: readVersion(what) ?? EntryVersion.ZERO };
    }
    const entry = kind === 'hit' && typeof what === 'string' ? readEntry(what, this.link.nowMs()) : undefined;
    if (entry?.kind === 'value' || entry?.kind === 'negative') {
      return { kind: 'hit', entry };
    }
    throw unexpected('getOrLease', kind);
  }

  override async renewLease(key: string, token: string, leaseMs: number): Promise<boolean> {
    return (
      (await this.link.run('smartpulseRenew', key, ...UNTOLD, token, lifeMs(leaseMs), this.#expiry(leaseMs))) === 1
    );
  }

  override async releaseLease(key: string, token: string, origin: StoreOrigin): Promise<void> {
    await this.#tell('smartpulseRelease', key, origin, [token]);
  }

  override async sweep(request: SweepRequest, cursor = BEGINNING): Promise<SweepReply> {
    const { keys: names, version, limit, synced, tombstoneTtlMs, channel, source } = request;
    const pattern = `${escapeGlob(names.before)}*${escapeGlob(names.after)}`;
    const found = await this.link.scan(cursor, pattern, limit);
    const expiry = this.#expiry(tombstoneTtlMs);
    const swept = await Promise.all(
      found.keys.map((key) =>
        this.link.run(
          'smartpulseSweep',
          key,
          ...UNTOLD,
          version.toString(),
          flag(synced),
          expiry,
          lifeMs(tombstoneTtlMs),
        ),
      ),
    );
    const ended = found.cursor === BEGINNING;
    if (ended) {
      await this.link.flush(channel, source);
    }
    return { swept: swept.filter((one) => one === 1).length, cursor: ended ? null : found.cursor };
  }

  /** Runs a script that publishes. */
  async #tell(
    name: ScriptName,
    key: string,
    origin: StoreOrigin,
    parameters: readonly (string | number)[],
  ): Promise<readonly unknown[]> {
    const reply = await this.link.tell(name, key, origin, ...parameters);
    return Array.isArray(reply) ? reply : [];
  }

  #text({ payload, version, ttlMs }: StoreWrite): string {
    const endsMs = this.link.nowMs() + ttlMs;
    return payload === null ? entryText('N', version, endsMs) : entryText('V', version, endsMs, payload);
  }

  #expiry(ttlMs: number): string {
    return expiryText(this.link.nowMs() + ttlMs);
  }
}

/** No channel: nothing is published, and no number used. */
const UNTOLD = ['', ''] as const;

function flag(value: boolean): '1' | '0' {
  return value ? '1' : '0';
}

/** Redis takes whole milliseconds from 1. */
function lifeMs(ttlMs: number): number {
  return Math.max(1, Math.round(ttlMs));
}

/** What is in a name stands for itself in a pattern. */
function escapeGlob(text: string): string {
  return text.replace(/[[\]?*\\^-]/g, '\\$&');
}

function isSetOutcome(outcome: unknown): outcome is SetOutcome {
  return typeof outcome === 'string' && SET_OUTCOMES.has(outcome);
}

function isChangeOutcome(outcome: unknown): outcome is ChangeOutcome {
  return typeof outcome === 'string' && CHANGE_OUTCOMES.has(outcome);
}

function changeReply(operation: string, [outcome, version]: readonly unknown[]): ChangeReply {
  if (!isChangeOutcome(outcome)) {
    throw unexpected(operation, outcome);
  }
  return { outcome, version: typeof version === 'string' ? readVersion(version) : undefined };
}

function unexpected(operation: string, outcome: unknown): TypeError {
  return new TypeError(`The script of ${operation} answered ${String(outcome)}.`);
}
