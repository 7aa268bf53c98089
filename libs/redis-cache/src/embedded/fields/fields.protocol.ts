import { hashStamp, type SetFieldsReply, type StoredFieldOutcome } from '../../store/fields.store.js';
import type { ChangeOutcome, SetOutcome } from '../../store/cache.store.js';
import { EntryVersion } from '../../version/entry-version.js';
import {
  type BroughtValue,
  type ChangeRules,
  EntryProtocol,
  type EntryState,
  type EntryWrite,
  type Step,
} from '../entry.protocol.js';

/** A field, or the tombstone of one (`payload` null). */
export interface HashField {
  readonly version: EntryVersion;
  readonly payload: string | null;
  /** On the clock's monotonic scale; `null`: it lives as long as the hash. */
  readonly endsAtMs: number | null;
}

/** What a hash is made of, beside its base. */
export interface HashContent {
  /** Steps that changed fields since the base was set. */
  readonly revision: bigint;
  readonly fields: ReadonlyMap<string, HashField>;
}

/** Fields to write in one step. */
export interface FieldsRequest {
  readonly fields: readonly (HashField & { readonly name: string })[];
  readonly synced: boolean;
  readonly atomic: boolean;
  readonly maxFields: number;
  readonly nowMs: number;
}

/** A step that tells of each field. */
export interface FieldsStep extends Step<SetFieldsReply['outcome'], HashContent> {
  readonly fields: readonly StoredFieldOutcome[];
}

type HashState = EntryState<HashContent>;
const NOTHING: HashContent = Object.freeze({ revision: 0n, fields: new Map<string, HashField>() });

/** The rules of one hash, as pure steps: those of a value for the whole, compared with its base, and each field by its own version. */
export class FieldsProtocol extends EntryProtocol<HashContent> {
  override set(
    state: HashState | undefined,
    write: EntryWrite<HashContent>,
    token: string | undefined,
  ): Step<SetOutcome, HashContent> {
    return this.withNewerFields(state, write.version, super.set(state, write, token));
  }

  override refresh(
    state: HashState | undefined,
    brought: BroughtValue<HashContent>,
    rules: ChangeRules,
  ): Step<ChangeOutcome, HashContent> {
    return this.withNewerFields(state, brought.version, super.refresh(state, brought, rules));
  }

  override invalidate(
    state: HashState | undefined,
    version: EntryVersion,
    rules: ChangeRules,
    nowMs: number,
    own?: boolean,
  ): Step<ChangeOutcome, HashContent> {
    const step = super.invalidate(state, version, rules, nowMs, own);
    return rules.synced ? step : this.withNewerFields(state, version, step);
  }

  override sweep(state: HashState, version: EntryVersion, rules: ChangeRules): Step<'swept' | 'kept', HashContent> {
    const step = super.sweep(state, version, rules);
    return rules.synced ? step : this.withNewerFields(state, version, step);
  }

  /** Fields by their own versions. */
  setFields(state: HashState | undefined, request: FieldsRequest): FieldsStep {
    if (request.synced && state?.kind !== 'value' && state?.kind !== 'negative') {
      return this.foundNoHash(state, request);
    }
    const base = state === undefined ? EntryVersion.ZERO : state.kind === 'lease' ? state.floor : state.version;
    const content = state?.kind === 'value' ? state.payload : NOTHING;
    const fields = liveFields(content, request.nowMs);
    const outcomes = request.fields.map(({ name, version }) =>
      fieldOutcome(version, this.standing(fields.get(name), base)),
    );
    const above = outcomes.filter((outcome) => outcome === 'applied').length;
    if (above === 0 || (request.atomic && above < outcomes.length)) {
      const held = outcomes.map((outcome) => (outcome === 'applied' ? 'held' : outcome));
      return { outcome: 'unchanged', next: state, life: 'kept', fields: held };
    }
    request.fields.forEach(({ name, ...field }, index) => {
      if (outcomes[index] === 'applied') {
        fields.set(name, field);
      }
    });
    if (fields.size > request.maxFields) {
      return { outcome: 'full', next: state, life: 'kept', fields: [] };
    }
    return this.#written(state, base, { revision: this.counted(content.revision), fields }, request.synced, outcomes);
  }

  /** Rule: in a synced namespace a change of fields creates no hash, and raises the floor of a load under way. */
  protected foundNoHash(state: HashState | undefined, { fields }: FieldsRequest): FieldsStep {
    const newest = fields.reduce((max, { version }) => EntryVersion.max(max, version), EntryVersion.ZERO);
    const step = this.refresh(state, { version: newest, payload: NOTHING }, { synced: true });
    return { ...step, outcome: step.outcome === 'deferred' ? 'deferred' : 'absent', fields: [] };
  }

  /** Rule: a field is compared with its own version, or with the base where it has none. */
  protected standing(field: HashField | undefined, base: EntryVersion): EntryVersion {
    return field?.version ?? base;
  }

  /** Rule: every step that wrote something counts, for the version of a field orders nothing but that field. */
  protected counted(revision: bigint): bigint {
    return revision + 1n;
  }

  /** Rule: where there was no hash, the count of its steps begins anew, so nothing from before may be compared with it. */
  #written(
    state: HashState | undefined,
    base: EntryVersion,
    payload: HashContent,
    synced: boolean,
    fields: readonly StoredFieldOutcome[],
  ): FieldsStep {
    const next: HashState = { kind: 'value', version: base, payload };
    const life = synced ? 'kept' : 'longest';
    if (state?.kind === 'value' || state?.kind === 'negative') {
      const version = hashStamp(base, payload.revision);
      return { outcome: 'applied', next, life, fields, publish: { action: 'refresh', version } };
    }
    return { outcome: 'created', next, life, fields, publish: { action: 'evict', version: null } };
  }

  /** Rule: what replaces a hash says nothing about fields that are stamped above it. That they stay is a step: what was given is not what stands. */
  protected withNewerFields<TOutcome>(
    state: HashState | undefined,
    version: EntryVersion,
    step: Step<TOutcome, HashContent>,
  ): Step<TOutcome, HashContent> {
    if (state?.kind !== 'value' || step.next === state) {
      return step;
    }
    const newer = [...state.payload.fields].filter(([, field]) => field.version.compare(version) > 0);
    if (newer.length === 0) {
      return step;
    }
    const { next } = step;
    const fields = new Map([...(next?.kind === 'value' ? next.payload.fields : []), ...newer]);
    const revision = this.counted(version.compare(state.version) > 0 ? 0n : state.payload.revision);
    return {
      ...step,
      next: { kind: 'value', version, payload: { revision, fields } },
      life: next?.kind === 'tombstone' ? 'longest' : step.life,
    };
  }
}

/** The fields whose life is not over, tombstones among them. */
export function liveFields(content: HashContent, nowMs: number): Map<string, HashField> {
  return new Map([...content.fields].filter(([, { endsAtMs }]) => endsAtMs === null || endsAtMs > nowMs));
}

function fieldOutcome(given: EntryVersion, stands: EntryVersion): 'applied' | 'duplicate' | 'stale' {
  const order = given.compare(stands);
  return order > 0 ? 'applied' : order === 0 ? 'duplicate' : 'stale';
}
