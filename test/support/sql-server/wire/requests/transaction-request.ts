import type { SqlIsolation } from '../../seam.js';
import type { ByteReader } from '../bytes/byte-reader.js';
import { refusal } from './refusal.js';

/** A transaction that is to begin; an isolation left out is the session's own. */
export interface TransactionStart {
  readonly isolation: SqlIsolation | undefined;
  readonly name: string | undefined;
}

/** What a client asks the transaction manager for. */
export type TransactionRequest =
  | ({ readonly kind: 'begin' } & TransactionStart)
  | {
      readonly kind: 'commit' | 'rollback';
      readonly name: string | undefined;
      /** Another transaction is to begin at once. */
      readonly next: TransactionStart | undefined;
    }
  | { readonly kind: 'save'; readonly name: string };

const RequestType = { begin: 5, commit: 7, rollback: 8, save: 9 } as const;
const BEGIN_NEXT = 0x01;

const ISOLATIONS: readonly (SqlIsolation | undefined)[] = [
  undefined,
  'read uncommitted',
  'read committed',
  'repeatable read',
  'serializable',
  'snapshot',
];

/** @throws SqlServerFault for what needs a distributed transaction. */
export function readTransactionRequest(reader: ByteReader): TransactionRequest {
  const type = reader.u16();
  switch (type) {
    case RequestType.begin:
      return { kind: 'begin', ...readStart(reader) };
    case RequestType.commit:
    case RequestType.rollback: {
      const name = readName(reader);
      const next = (reader.u8() & BEGIN_NEXT) === 0 ? undefined : readStart(reader);
      return { kind: type === RequestType.commit ? 'commit' : 'rollback', name, next };
    }
    case RequestType.save:
      return { kind: 'save', name: readName(reader) ?? '' };
    default:
      throw refusal(`transaction manager request ${type}`);
  }
}

function readStart(reader: ByteReader): TransactionStart {
  const level = reader.u8();
  if (level >= ISOLATIONS.length) {
    throw refusal(`isolation level ${level}`);
  }
  return { isolation: ISOLATIONS[level], name: readName(reader) };
}

/** The count is of bytes, not of characters. */
function readName(reader: ByteReader): string | undefined {
  const text = reader.raw(reader.u8()).toString('utf16le');
  return text === '' ? undefined : text;
}
