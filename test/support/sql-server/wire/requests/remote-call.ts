import type { SqlParameter } from '../../seam.js';
import type { ByteReader } from '../bytes/byte-reader.js';
import { readTypeInfo } from '../types/type-info.js';
import { readValue } from '../types/values.js';
import { refusal } from './refusal.js';

/** A procedure called over RPC, with its parameters as they came: a name may be empty. */
export interface RemoteCall {
  readonly procedure: string;
  readonly parameters: readonly SqlParameter[];
}

const NUMBERED = 0xffff;
const BY_REFERENCE = 0x01;

/** Procedures that clients call by number. */
const PROCEDURES: ReadonlyMap<number, string> = new Map([
  [10, 'sp_executesql'],
  [11, 'sp_prepare'],
  [12, 'sp_execute'],
  [13, 'sp_prepexec'],
  [15, 'sp_unprepare'],
]);

/** @throws SqlServerFault for a procedure or a type that the test server has not. */
export function readRemoteCall(reader: ByteReader): RemoteCall {
  const count = reader.u16();
  const procedure = count === NUMBERED ? numbered(reader.u16()) : reader.utf16(count);
  // Recompile, no metadata, reuse metadata: none of them changes an answer.
  reader.u16();
  const parameters: SqlParameter[] = [];
  while (reader.left > 0) {
    parameters.push(readParameter(reader));
  }
  return { procedure, parameters };
}

function readParameter(reader: ByteReader): SqlParameter {
  const nameLength = reader.u8();
  if (nameLength >= 0x80) {
    throw refusal('batch of several calls in one message');
  }
  const name = reader.utf16(nameLength);
  const output = (reader.u8() & BY_REFERENCE) !== 0;
  const wire = readTypeInfo(reader);
  return { name, output, type: wire.type, value: readValue(reader, wire) };
}

function numbered(id: number): string {
  const name = PROCEDURES.get(id);
  if (name === undefined) {
    throw refusal(`procedure number ${id}`);
  }
  return name;
}
