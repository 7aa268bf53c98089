import { type CacheCodec, joinFields, splitFields } from '@smartpulse/redis-cache';
import type { SimulatedValue } from '@smartpulse/redis-cache/testing';
import type { Bounds } from './bounds.js';
import { NAMESPACE } from './namespaces.js';
import { APPLIER, type ServerInput, STORED } from './server.subject.js';
import { Truth } from './truth.js';

const ROWS = ['a', 'b'] as const;
const TTL_MS = 82_080_000;

/** A hash: which commits it has, as bits, and the text of its fields. */
interface HashValue extends SimulatedValue {
  readonly text: string;
}

/** Two rows as the fields of one hash. A content is a set of commits, as bits: a hash may have a later one of one row, and not yet an earlier one of the other. */
export class FieldTruth extends Truth {
  /** As replicas keep hashes: what the codec of a real cache does for each field is left out. */
  override readonly namespace = Object.freeze({ ...NAMESPACE, codec: this.#codec() });

  override whole(index: number): number {
    return (1 << index) - 1;
  }

  override covers(content: number, promised: number): boolean {
    return (content & promised) === promised;
  }

  override joined(a: number, b: number): number {
    return a | b;
  }

  override change(index: number): ServerInput {
    const version = this.stamp(index);
    const payload = index === this.bounds.deletedBy ? null : String(index);
    return {
      op: 'setFields',
      write: {
        ...APPLIER,
        key: STORED,
        fields: [{ name: rowOf(this.bounds, index), version, payload }],
        atomic: false,
        maxFields: 2,
        ttlMs: TTL_MS,
        tombstoneTtlMs: TTL_MS,
      },
    };
  }

  override decoded(payload: string): HashValue {
    const fields = new Map(splitFields(payload).map((field): [string, number] => [field.name, Number(field.payload)]));
    // A row that is not there was deleted.
    const commits = ROWS.map((row) => fields.get(row) ?? this.bounds.deletedBy ?? 0);
    return { content: commits.reduce((bits, index) => bits | this.#upTo(index), 0), text: payload };
  }

  override valueOf(index: number): HashValue {
    const version = this.stamp(index);
    const text = joinFields(
      ROWS.flatMap((name) => {
        const last = this.#commits(name, index).at(-1) ?? 0;
        return last > 0 && last === this.bounds.deletedBy ? [] : [{ name, version, payload: String(last) }];
      }),
    );
    return { content: this.whole(index), text };
  }

  /** A commit, and those before it of the same row. */
  #upTo(index: number): number {
    return index === 0
      ? 0
      : this.#commits(rowOf(this.bounds, index), index).reduce((bits, one) => bits | (1 << (one - 1)), 0);
  }

  #commits(row: string, upTo: number): readonly number[] {
    return Array.from({ length: upTo }, (_, before) => before + 1).filter((index) => rowOf(this.bounds, index) === row);
  }

  #codec(): CacheCodec<SimulatedValue> {
    return {
      encode: (value) => ('text' in value && typeof value.text === 'string' ? value.text : ''),
      decode: (payload) => this.decoded(payload),
    };
  }
}

/** The row that a commit changes. */
function rowOf({ rows = 'both' }: Bounds, index: number): (typeof ROWS)[number] {
  return rows === 'one' || index % 2 === 1 ? 'a' : 'b';
}
