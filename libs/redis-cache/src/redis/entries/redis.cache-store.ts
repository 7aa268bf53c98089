import {
  CacheStore,
  type ChangeOutcome,
  type ChangeReply,
  type GivenVersion,
  type KeptValue,
  type LeaseReply,
  type SetAllReply,
  type SetOutcome,
  type SetReply,
  type StoredEntry,
  type StoreOrigin,
  type StoreRefresh,
  type StoreWrite,
  type SweepReply,
  type SweepRequest,
} from '../../store/cache.store.js';
import { EntryVersion } from '../../version/entry-version.js';
import { entryText, expiryText, readVersion } from './entry-text.js';
import type { RedisLink } from '../connection/redis.link.js';
import type { ScriptName } from './commands.js';
import { type EntryForm, STRINGS } from './entry-form.js';
import { GatheredSets } from './gathered-sets.js';

const SET_OUTCOMES: ReadonlySet<string> = new Set<SetOutcome>(['applied', 'duplicate', 'stale', 'leaseLost', 'absent']);
const CHANGE_OUTCOMES: ReadonlySet<string> = new Set<ChangeOutcome>([
  'applied',
  'duplicate',
  'stale',
  'absent',
  'deferred',
]);
const BEGINNING = '0';

/** The second level in Redis: one string per key (or one hash), read by a plain GET, changed by scripts of one key each that publish in the same step. */
export class RedisCacheStore extends CacheStore {
  readonly durable = true;
  readonly shared = true;
  /** Where several entries can be set by one command. */
  readonly #sets: GatheredSets | undefined;

  /** @param form how an entry is kept. */
  constructor(
    private readonly link: RedisLink,
    private readonly form: EntryForm = STRINGS,
  ) {
    super();
    this.#sets = link.isOneServer && form.setsTogether ? new GatheredSets(link) : undefined;
  }

  /** The shards of a cluster answer and fail each by itself. */
  override get readsTogether(): boolean {
    return this.link.isOneServer && this.form.readsTogether;
  }

  override get(key: string): Promise<StoredEntry | undefined> {
    return this.form.get(this.link, key).then((stored) => this.#read(stored));
  }

  override async getMany(keys: readonly string[]): Promise<readonly (StoredEntry | undefined)[]> {
    const found = await this.form.getMany(this.link, keys);
    return keys.map((_, index) => this.#read(found[index]));
  }

  override set(write: StoreWrite, leaseToken = ''): Promise<SetReply> {
    const { key, version, synced } = write;
    const texts = this.#texts(write);
    const parameters = [given(version), flag(synced), leaseToken, storedMs(write), ...texts];
    const [text = ''] = texts;
    const told =
      this.#sets === undefined
        ? this.#tell(this.form.scripts.set, key, write, parameters)
        : this.#sets.set(write, parameters, text.length);
    return told.then((answer) => this.#written(write, texts, answer));
  }

  #written(write: StoreWrite, texts: readonly string[], [outcome, current, next]: readonly unknown[]): SetReply {
    const { version } = write;
    if (!isSetOutcome(outcome)) {
      throw unexpected('set', outcome);
    }
    const told = typeof next === 'string' ? readVersion(next) : version;
    const isKnown = outcome === 'applied' && told !== undefined && told !== 'next';
    const written = isKnown ? this.form.written({ ...write, version: told }, texts) : undefined;
    return { outcome, current: this.#read(current) ?? written };
  }

  override async setAll(writes: readonly StoreWrite[]): Promise<readonly SetAllReply[]> {
    const [first, ...others] = writes;
    if (first === undefined) {
      return [];
    }
    const reply = await this.link.tellAll(
      'smartpulseSetAll',
      [first.key, ...others.map(({ key }) => key)],
      first,
      [flag(first.synced)],
      writes.map((write) => [given(write.version), storedMs(write), ...this.#texts(write)]),
    );
    const answers: readonly unknown[] = Array.isArray(reply) ? reply : [];
    const outcomes = writes.map((_, index) => answers[index * 2]);
    const all = outcomes.every((outcome) => outcome === 'applied');
    return outcomes.map((outcome, index) => {
      if (!isSetOutcome(outcome)) {
        throw unexpected('setAll', outcome);
      }
      return {
        outcome: !all && outcome === 'applied' ? 'withheld' : outcome,
        current: this.#read(answers[index * 2 + 1]),
      };
    });
  }

  override async refresh(write: StoreRefresh): Promise<ChangeReply> {
    const parameters = [
      write.version.toString(),
      flag(write.populate === true),
      storedMs(write),
      ...this.#texts(write),
    ];
    return changeReply('refresh', await this.#tell(this.form.scripts.refresh, write.key, write, parameters));
  }

  override async invalidate(
    key: string,
    version: GivenVersion,
    origin: StoreOrigin,
    tombstoneTtlMs: number,
  ): Promise<ChangeReply> {
    const tombstone = entryText('T', draftOf(version), this.link.nowMs() + tombstoneTtlMs);
    const parameters = [given(version), leavesNone(origin), tombstone, lifeMs(tombstoneTtlMs)];
    return changeReply('invalidate', await this.#tell(this.form.scripts.invalidate, key, origin, parameters));
  }

  override async evict(key: string, origin: StoreOrigin): Promise<void> {
    await this.#tell('smartpulseEvict', key, origin, []);
  }

  override async getOrLease(key: string, token: string, leaseMs: number, withinMs?: number): Promise<LeaseReply> {
    const reply = await this.link.run(
      this.form.scripts.getOrLease,
      key,
      ...UNTOLD,
      token,
      lifeMs(leaseMs),
      this.#expiry(leaseMs),
      EntryVersion.ZERO.toString(),
      withinMs === undefined ? '' : Math.max(0, Math.round(withinMs)),
    );
    const [kind, what, stays] = Array.isArray(reply) ? (reply as unknown[]) : [];
    const kept = keptValue(this.#read(stays));
    if (kind === 'wait' && typeof what === 'number') {
      return { kind, remainingMs: Math.max(0, what), kept };
    }
    if (kind === 'leased' && typeof what === 'string') {
      return { kind, floor: readVersion(what) ?? EntryVersion.ZERO, kept };
    }
    const entry = kind === 'hit' ? this.#read(what) : undefined;
    if (entry?.kind === 'value' || entry?.kind === 'negative') {
      return { kind: 'hit', entry };
    }
    throw unexpected('getOrLease', kind);
  }

  override async renewLease(key: string, token: string, leaseMs: number): Promise<boolean> {
    return (
      (await this.link.run(this.form.scripts.renew, key, ...UNTOLD, token, lifeMs(leaseMs), this.#expiry(leaseMs))) ===
      1
    );
  }

  override async releaseLease(key: string, token: string, origin: StoreOrigin): Promise<void> {
    await this.#tell(this.form.scripts.release, key, origin, [token]);
  }

  override async stamp(key: string, ttlMs: number): Promise<EntryVersion> {
    const reply = await this.link.run('smartpulseStamp', key, ...UNTOLD, this.#expiry(ttlMs), lifeMs(ttlMs));
    const version = typeof reply === 'string' ? readVersion(reply) : undefined;
    if (version === undefined) {
      throw unexpected('stamp', reply);
    }
    return version;
  }

  override async sweep(request: SweepRequest, cursor = BEGINNING): Promise<SweepReply> {
    const { keys: names, version, limit, tombstoneTtlMs, channel, source } = request;
    const pattern = `${escapeGlob(names.before)}*${escapeGlob(names.after)}`;
    const found = await this.link.scan(cursor, pattern, limit);
    const expiry = this.#expiry(tombstoneTtlMs);
    const swept = await Promise.all(
      found.keys.map((key) =>
        this.link.run(
          this.form.scripts.sweep,
          key,
          ...UNTOLD,
          version.toString(),
          leavesNone(request),
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
  #tell(
    name: ScriptName,
    key: string,
    origin: StoreOrigin,
    parameters: readonly (string | number)[],
  ): Promise<readonly unknown[]> {
    return this.link.tell(name, key, origin, ...parameters).then(listOf);
  }

  #read(stored: unknown): StoredEntry | undefined {
    return this.form.read(stored, this.link.nowMs());
  }

  #texts(write: StoreWrite): readonly string[] {
    return this.form.write({ ...write, version: draftOf(write.version) }, this.link.nowMs() + write.ttlMs);
  }

  #expiry(ttlMs: number): string {
    return expiryText(this.link.nowMs() + ttlMs);
  }
}

function listOf(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

/** No channel: nothing is published, and no number used. */
const UNTOLD = ['', ''] as const;

function flag(value: boolean): '1' | '0' {
  return value ? '1' : '0';
}

/** Nothing stands for the next one. */
function given(version: GivenVersion): string {
  return version === 'next' ? '' : version.toString();
}

/** The script puts the next version in the place of this one. */
function draftOf(version: GivenVersion): EntryVersion {
  return version === 'next' ? EntryVersion.ZERO : version;
}

function leavesNone({ synced, populate }: StoreOrigin): '1' | '0' {
  return flag(synced && populate !== true);
}

function keptValue(entry: StoredEntry | undefined): KeptValue | undefined {
  return entry?.kind === 'value' ? entry : undefined;
}

/** How long the key is there: an old value is kept for a while. */
function storedMs({ payload, ttlMs, keptMs = 0 }: StoreWrite): number {
  return lifeMs(payload === null ? ttlMs : ttlMs + keptMs);
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
