import type { FeedEvent, HandOff } from '@smartpulse/cdc';
import type { SyncDefinition } from '../definition/sync-definition.js';
import type { ChangeEnvelope, EnvelopeChange } from '../envelope/change-envelope.js';
import { encodeEnvelope } from '../envelope/envelope.codec.js';
import type { FeedNumbering } from './feed-numbering.js';
import type { KeyGroup, ProjectedChange } from './key-groups.js';

/** An envelope and its bytes. */
export interface EncodedEnvelope {
  readonly envelope: ChangeEnvelope;
  readonly payload: Uint8Array;
  /** The changes inside. */
  readonly changes: readonly ProjectedChange[];
}

/** A key's changes that fit no message, not even as keys. */
export interface OversizedChanges {
  readonly changes: readonly ProjectedChange[];
  readonly bytes: number;
}

/** What fits into messages and what does not. */
export interface PackedGroup {
  readonly envelopes: readonly EncodedEnvelope[];
  readonly oversized: readonly OversizedChanges[];
}

/** Makes the envelopes of one sync. */
export class ChangeEnvelopes {
  readonly #sync: SyncDefinition;
  readonly #numbering: FeedNumbering;
  readonly #maxPayloadBytes: number;

  constructor(sync: SyncDefinition, numbering: FeedNumbering, maxPayloadBytes: number) {
    this.#sync = sync;
    this.#numbering = numbering;
    this.#maxPayloadBytes = maxPayloadBytes;
  }

  /**
   * The envelopes of one key: one where it fits, else halves of it, and for a single change that does not fit its key alone, which
   * consumers treat as an invalidation.
   */
  pack(group: KeyGroup, handOff: HandOff): PackedGroup {
    const envelopes: EncodedEnvelope[] = [];
    const oversized: OversizedChanges[] = [];
    // The sizes are found with numbers as long as any, so that numbering happens once, in the order of sending.
    const rest: (readonly ProjectedChange[])[] = [group.changes];
    for (let changes = rest.pop(); changes !== undefined; changes = rest.pop()) {
      const encoded = this.#encode(group, changes, handOff, false);
      if (encoded !== undefined) {
        envelopes.push(encoded);
      } else if (changes.length > 1) {
        const half = Math.ceil(changes.length / 2);
        rest.push(changes.slice(half), changes.slice(0, half));
      } else {
        const keysOnly = this.keyAlone({ ...group, changes }, handOff);
        if (keysOnly === undefined) {
          oversized.push({ changes, bytes: this.#maxPayloadBytes });
        } else {
          envelopes.push(keysOnly);
        }
      }
    }
    return { envelopes, oversized };
  }

  /** An envelope with the key and stamp of one change and no row: what is left of a change that cannot be projected. */
  keyAlone(group: KeyGroup, handOff: HandOff): EncodedEnvelope | undefined {
    // The names of the columns that changed may be what is too long.
    const { changes } = group;
    return (
      this.#encode(group, changes, handOff, true) ?? this.#encode(group, changes.map(withoutColumns), handOff, true)
    );
  }

  /**
   * No more than the key and stamp of a change whose primary key has no room: in the message's properties, with nothing inside. Who reads it
   * dead-letters it, and invalidates the key by that stamp.
   */
  stampAlone(group: KeyGroup, { changes }: OversizedChanges, handOff: HandOff): EncodedEnvelope {
    const envelope = { ...this.#draft(group, changes, handOff, true), ...this.#number(handOff) };
    return { envelope, payload: NOTHING_INSIDE, changes: [] };
  }

  /** The envelope of an event of the feed itself. */
  control(event: FeedEvent, handOff: HandOff): ChangeEnvelope {
    const common = { ...this.#head(handOff, handOff.epoch), key: null, changes: [], keysOnly: false, ...NO_ORIGIN };
    switch (event.kind) {
      case 'resyncStarted':
        return {
          ...common,
          kind: 'resync',
          version: event.fromVersion.toString(),
          resync: { state: 'started', reason: event.reason },
        };
      case 'resyncCompleted':
        return {
          ...common,
          kind: 'resync',
          version: event.version.toString(),
          resync: { state: 'completed', reason: event.reason },
        };
      case 'heartbeat':
        return { ...common, kind: 'heartbeat', version: event.version.toString(), resync: null };
      case 'started':
      default:
        return { ...common, kind: 'seqStart', version: (event.version ?? 0n).toString(), resync: null };
    }
  }

  #encode(
    group: KeyGroup,
    changes: readonly ProjectedChange[],
    handOff: HandOff,
    keysOnly: boolean,
  ): EncodedEnvelope | undefined {
    const draft = this.#draft(group, changes, handOff, keysOnly);
    if (encodeEnvelope({ ...draft, seq: LONGEST_NUMBER, prevSeq: LONGEST_NUMBER }).byteLength > this.#maxPayloadBytes) {
      return undefined;
    }
    const envelope: ChangeEnvelope = { ...draft, ...this.#number(handOff) };
    return { envelope, payload: encodeEnvelope(envelope), changes };
  }

  #draft(group: KeyGroup, changes: readonly ProjectedChange[], handOff: HandOff, keysOnly: boolean) {
    return {
      ...this.#unnumbered(handOff, group.epoch),
      kind: 'change' as const,
      key: group.key,
      version: highest(changes).toString(),
      changes: changes.map((one) => (keysOnly ? withoutRow(one.wire) : one.wire)),
      keysOnly,
      origin: originOf(changes),
      committedAt: committedAtOf(changes),
      resync: null,
    };
  }

  #head(handOff: HandOff, epoch: bigint) {
    return { ...this.#unnumbered(handOff, epoch), ...this.#number(handOff) };
  }

  #unnumbered(handOff: HandOff, epoch: bigint) {
    return {
      format: 1 as const,
      schemaVersion: this.#sync.contract.version,
      source: handOff.source,
      table: handOff.table,
      epoch: epoch.toString(),
      fence: handOff.fence.toString(),
    };
  }

  #number(handOff: HandOff): { readonly seq: string; readonly prevSeq: string | null } {
    const { seq, prevSeq } = this.#numbering.next(handOff.fence);
    return { seq: seq.toString(), prevSeq: prevSeq === null ? null : prevSeq.toString() };
  }
}

const NO_ORIGIN = { origin: null, committedAt: null };
/** No envelope, and no empty message either, which a topic that is compacted takes for a delete. */
const NOTHING_INSIDE = new TextEncoder().encode('{}');
const LONGEST_NUMBER = '9'.repeat(19);

function withoutRow(change: EnvelopeChange): EnvelopeChange {
  return { ...change, row: null };
}

function withoutColumns(one: ProjectedChange): ProjectedChange {
  return { ...one, wire: { ...one.wire, columns: null } };
}

function highest(changes: readonly ProjectedChange[]): bigint {
  return changes.reduce((top, { change }) => (change.version.version > top ? change.version.version : top), 0n);
}

function originOf(changes: readonly ProjectedChange[]): string | null {
  return common(changes.map(({ change }) => change.origin));
}

/** The trace in which all changes of an envelope were written, if it is one. */
export function traceOf(changes: readonly ProjectedChange[]): string | null {
  return common(changes.map(({ change }) => change.traceparent ?? null));
}

function common(texts: readonly (string | null)[]): string | null {
  const first = texts[0] ?? null;
  return texts.every((text) => text === first) ? first : null;
}

function committedAtOf(changes: readonly ProjectedChange[]): string | null {
  let latestMs: number | null = null;
  for (const { change } of changes) {
    if (change.committedAtMs === null) {
      return null;
    }
    latestMs = Math.max(latestMs ?? change.committedAtMs, change.committedAtMs);
  }
  return latestMs === null ? null : new Date(latestMs).toISOString();
}
