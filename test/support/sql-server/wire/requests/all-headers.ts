import { type ByteReader, WireFormatError } from '../bytes/byte-reader.js';

const TRANSACTION_DESCRIPTOR = 2;

/** Reads ALL_HEADERS; gives the transaction that the client believes to be in, 0 for none. */
export function readAllHeaders(reader: ByteReader): bigint {
  const total = reader.u32();
  if (total < 4 || total - 4 > reader.left) {
    throw new WireFormatError(`headers of ${total} bytes`);
  }
  let left = total - 4;
  let descriptor = 0n;
  while (left > 0) {
    const length = reader.u32();
    const type = reader.u16();
    if (length < 6 || length > left) {
      throw new WireFormatError(`a header of ${length} bytes`);
    }
    const data = reader.raw(length - 6);
    if (type === TRANSACTION_DESCRIPTOR) {
      descriptor = data.readBigUInt64LE(0);
    }
    left -= length;
  }
  return descriptor;
}
