import type { Clock } from '@smartpulse/resilience';
import type { InvalidationMessage } from '../../invalidation/invalidation.bus.js';
import type { StoredEntry } from '../../store/cache.store.js';
import {
  type FieldsWrite,
  hashStamp,
  type SetFieldsReply,
  type StoredField,
  type StoredFields,
} from '../../store/fields.store.js';
import { joinFields, splitFields } from '../../store/fields-text.js';
import type { EntryVersion } from '../../version/entry-version.js';
import type { ChannelHub } from '../channel.hub.js';
import { EmbeddedEntries } from '../embedded-entries.js';
import type { EntryState } from '../entry.protocol.js';
import { Keyspace, type KeyspaceBounds } from '../keyspace.js';
import { type FieldsProtocol, type HashContent, type HashField, liveFields } from './fields.protocol.js';

const FIELD_OVERHEAD_BYTES = 64;

/** Hashes in memory: as whole values, and by field. */
export class EmbeddedFields extends EmbeddedEntries<HashContent> {
  readonly #protocol: FieldsProtocol;
  readonly #clock: Clock;

  constructor(bounds: KeyspaceBounds, clock: Clock, hub: ChannelHub<InvalidationMessage>, protocol: FieldsProtocol) {
    const keyspace = new Keyspace<HashContent>(bounds, clock, sizeOf);
    super({ protocol, keyspace, keep, show: (state, ttlMs) => show(state, ttlMs, clock.monotonic()) }, hub, clock);
    this.#protocol = protocol;
    this.#clock = clock;
  }

  /** See `FieldsStore.getFields`. */
  getFields(key: string, names: readonly string[]): StoredFields | undefined {
    const found = this.form.keyspace.read(key);
    if (found?.state.kind !== 'value') {
      const entry = this.get(key);
      return entry?.kind === 'value' ? undefined : entry;
    }
    const { version, payload } = found.state;
    const fields = liveFields(payload, this.#clock.monotonic());
    return {
      kind: 'fields',
      version: hashStamp(version, payload.revision),
      fields: names.map((name) => shownField(fields.get(name))),
    };
  }

  /** See `FieldsStore.setFields`. */
  setFields(write: FieldsWrite): SetFieldsReply {
    const { key, ttlMs, synced, atomic, maxFields } = write;
    const nowMs = this.#clock.monotonic();
    const fields = write.fields.map(({ name, version, payload, ttlMs: own }) => {
      const lifeMs = synced ? undefined : payload === null ? write.tombstoneTtlMs : own;
      return { name, version, payload, endsAtMs: lifeMs === undefined ? null : nowMs + lifeMs };
    });
    let outcomes: SetFieldsReply['fields'] = [];
    const step = this.step(key, write, ttlMs, (state) => {
      const decided = this.#protocol.setFields(state, { fields, synced, atomic, maxFields, nowMs });
      outcomes = decided.fields;
      return decided;
    });
    return { outcome: step.outcome, fields: outcomes, version: step.publish?.version ?? reached(step.next) };
  }
}

function keep(payload: string): HashContent {
  const fields = splitFields(payload).map(({ name, version, payload: text }): [string, HashField] => [
    name,
    { version, payload: text, endsAtMs: null },
  ]);
  return { revision: 0n, fields: new Map(fields) };
}

function show(
  { version, payload }: Extract<EntryState<HashContent>, { kind: 'value' }>,
  ttlMs: number,
  nowMs: number,
): Extract<StoredEntry, { kind: 'value' }> {
  const live = [...liveFields(payload, nowMs)];
  const firstEndMs = live.reduce((first, [, { endsAtMs }]) => Math.min(first, endsAtMs ?? Infinity), Infinity);
  return {
    kind: 'value',
    version: hashStamp(version, payload.revision),
    payload: joinFields(
      live.flatMap(([name, field]) =>
        field.payload === null ? [] : [{ name, version: field.version, payload: field.payload }],
      ),
    ),
    ttlMs: Math.min(ttlMs, firstEndMs - nowMs),
  };
}

function reached(state: EntryState<HashContent> | undefined): EntryVersion | undefined {
  if (state?.kind === 'value') {
    return hashStamp(state.version, state.payload.revision);
  }
  return state?.kind === 'lease' ? state.floor : state?.version;
}

function shownField(field: HashField | undefined): StoredField | undefined {
  return field === undefined || field.payload === null ? undefined : { version: field.version, payload: field.payload };
}

function sizeOf({ fields }: HashContent): number {
  let bytes = 0;
  for (const [name, { payload }] of fields) {
    bytes += FIELD_OVERHEAD_BYTES + (name.length + (payload?.length ?? 0)) * 2;
  }
  return bytes;
}
