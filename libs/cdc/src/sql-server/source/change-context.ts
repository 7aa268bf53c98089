import { Buffer } from 'node:buffer';
import { ChangeContextError } from '../sql-server.errors.js';

/** "SP", then the version of the form. */
const HEAD = Buffer.from([0x53, 0x50, 0x01]);
/** SQL Server keeps 128 bytes. */
const MOST_BYTES = 128 - HEAD.length - 1;

/**
 * The bytes that a writer leaves beside its changes: who wrote. Other applications leave other bytes, so ours begin with a mark.
 *
 * @param origin at most 124 bytes in UTF-8.
 * @throws ChangeContextError
 */
export function encodeChangeContext(origin: string): Uint8Array {
  const name = Buffer.from(origin, 'utf8');
  if (name.length === 0 || name.length > MOST_BYTES) {
    throw ChangeContextError.ofOrigin(name.length, MOST_BYTES);
  }
  return Buffer.concat([HEAD, Buffer.from([name.length]), name]);
}

/** Who wrote, or `null` when the bytes are not ours. */
export function decodeChangeContext(bytes: Uint8Array | null): string | null {
  if (bytes === null || bytes.length <= HEAD.length || !HEAD.every((byte, index) => bytes[index] === byte)) {
    return null;
  }
  const length = bytes[HEAD.length] ?? 0;
  const from = HEAD.length + 1;
  // A fixed binary column pads with zeros.
  return length === 0 || bytes.length < from + length
    ? null
    : Buffer.from(bytes.subarray(from, from + length)).toString('utf8');
}
