import type { CacheStore } from '../../store/cache.store.js';
import {
  FieldsStore,
  type FieldsWrite,
  type SetFieldsReply,
  type StoredFieldOutcome,
  type StoredFields,
} from '../../store/fields.store.js';
import { EntryVersion } from '../../version/entry-version.js';
import type { RedisLink } from '../connection/redis.link.js';
import { expiryText, readVersion } from '../entries/entry-text.js';
import { RedisCacheStore } from '../entries/redis.cache-store.js';
import { fieldText, HASHES, HEADER, readField, readHeader } from './hash-text.js';

const OUTCOMES: ReadonlySet<unknown> = new Set<SetFieldsReply['outcome']>([
  'created',
  'applied',
  'unchanged',
  'absent',
  'deferred',
  'full',
]);
const FIELD_OUTCOMES: ReadonlySet<unknown> = new Set<StoredFieldOutcome>(['applied', 'duplicate', 'stale', 'held']);

/** Hashes of fields in Redis: one hash per key, whose field without a name is its header, changed by scripts of one key each that publish in the same step. */
export class RedisFieldsStore extends FieldsStore {
  override readonly hashes: CacheStore;

  constructor(private readonly link: RedisLink) {
    super();
    this.hashes = new RedisCacheStore(link, HASHES);
  }

  override async getFields(key: string, names: readonly string[]): Promise<StoredFields | undefined> {
    const [head, ...texts] = await this.link.getHashFields(key, [HEADER, ...names]);
    const nowMs = this.link.nowMs();
    const header = readHeader(head, nowMs);
    if (header?.kind !== 'hash') {
      return header;
    }
    const fields = names.map((_, index) => {
      const field = readField(texts[index], nowMs);
      return field && { version: field.version, payload: field.payload };
    });
    return { kind: 'fields', version: header.version, fields };
  }

  override async setFields(write: FieldsWrite): Promise<SetFieldsReply> {
    const { key, fields, synced, atomic, maxFields, ttlMs, tombstoneTtlMs } = write;
    const nowMs = this.link.nowMs();
    const endMs = (lifeMs: number | undefined): number | undefined =>
      synced || lifeMs === undefined ? undefined : nowMs + lifeMs;
    const reply = await this.link.tell(
      'smartpulseSetFields',
      key,
      write,
      synced ? '1' : '0',
      atomic ? '1' : '0',
      maxFields,
      Math.max(1, Math.round(ttlMs)),
      expiryText(nowMs + ttlMs),
      fields.reduce((max, { version }) => EntryVersion.max(max, version), EntryVersion.ZERO).toString(),
      EntryVersion.ZERO.toString(),
      ...fields.flatMap(({ name, version, payload, ttlMs: own }) => [
        name,
        version.toString(),
        fieldText(version, payload, endMs(payload === null ? tombstoneTtlMs : own)),
      ]),
    );
    const [outcome, version, told]: readonly unknown[] = Array.isArray(reply) ? reply : [];
    const outcomes: readonly unknown[] = Array.isArray(told) ? told : [];
    if (!isOutcome(outcome) || !outcomes.every(isFieldOutcome)) {
      throw new TypeError(`The script of setFields answered ${String(outcome)}.`);
    }
    return { outcome, fields: outcomes, version: typeof version === 'string' ? readVersion(version) : undefined };
  }
}

function isOutcome(outcome: unknown): outcome is SetFieldsReply['outcome'] {
  return OUTCOMES.has(outcome);
}

function isFieldOutcome(outcome: unknown): outcome is StoredFieldOutcome {
  return FIELD_OUTCOMES.has(outcome);
}
