import type { ChangeOperation } from '@smartpulse/cdc';

/** What an envelope tells. */
export type EnvelopeKind = 'change' | 'heartbeat' | 'resync' | 'seqStart';

/** A column's value on the wire: decimals and big integers are text, binary is base64, instants are UTC text. */
export type WireValue = string | number | boolean | null;

/** One row's net change, as it travels. */
export interface EnvelopeChange {
  readonly pk: Readonly<Record<string, WireValue>>;
  readonly op: ChangeOperation;
  /** Decimal text of this change's own version, in the envelope's epoch. */
  readonly version: string;
  /** Names of the changed columns; `null` = unknown or all. */
  readonly columns: readonly string[] | null;
  /** The row; `null` for `delete`, or when the envelope was too large and carries keys only. */
  readonly row: Readonly<Record<string, WireValue>> | null;
}

/**
 * The message on a change topic, format 1: the changes of one key and one page, or a word about the feed itself.
 *
 * A change's identity is (source, table, pk, epoch, version). `version` is the highest of `changes`; one key and version may come in
 * several envelopes. `seq` counts the envelopes of one (source, table, fence) over all keys and `prevSeq` is the one before, so a
 * reader of the whole feed finds gaps; a reader of some keys cannot.
 */
export interface ChangeEnvelope {
  readonly format: 1;
  readonly kind: EnvelopeKind;
  /** The contract's version (`defineChange`). */
  readonly schemaVersion: number;
  readonly source: string;
  readonly table: string;
  /** The key that the changes belong to (a function of the primary key); `null` unless `kind` is `change`. */
  readonly key: string | null;
  /** Decimal text. */
  readonly epoch: string;
  /** Decimal text: the highest version of `changes`, or the feed's position. */
  readonly version: string;
  readonly changes: readonly EnvelopeChange[];
  /** `true`: too large for the broker, so rows were left out; treat as an invalidation. */
  readonly keysOnly: boolean;
  /** The fencing token of the tracker that handed off, decimal text. */
  readonly fence: string;
  /** Decimal text. */
  readonly seq: string;
  /** Decimal text; `null` at the start of a numbering. */
  readonly prevSeq: string | null;
  /** Who wrote the row, where all changes agree and the source can tell. */
  readonly origin: string | null;
  /** Commit time of the latest change, UTC text; `null` where the source cannot tell. */
  readonly committedAt: string | null;
  /** Only for `resync`: what began or ended, and why. */
  readonly resync: { readonly state: 'started' | 'completed'; readonly reason: string } | null;
}
