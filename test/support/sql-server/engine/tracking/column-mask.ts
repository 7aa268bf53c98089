import { fault } from '../errors/fault.js';

const HEADER_BYTES = 4;
const ID_BYTES = 4;

/** SYS_CHANGE_COLUMNS: four bytes of header, then each column id in four bytes, lowest first. Opaque to its readers. */
export function columnMask(ids: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES + ID_BYTES * ids.length);
  [...ids].sort((a, b) => a - b).forEach((id, index) => bytes.writeUInt32LE(id, HEADER_BYTES + ID_BYTES * index));
  return new Uint8Array(bytes);
}

/** CHANGE_TRACKING_IS_COLUMN_IN_MASK: no mask contains every column. @throws 22101 */
export function isColumnInMask(id: number, mask: Uint8Array | null): boolean {
  if (mask === null) {
    return true;
  }
  if (mask.length < HEADER_BYTES + ID_BYTES) {
    throw fault(
      22_101,
      16,
      1,
      'The value supplied for the change_columns argument of CHANGE_TRACKING_IS_COLUMN_IN_MASK function is not valid. The value must be a bitmask returned by the CHANGETABLE(CHANGES ...) function.',
    );
  }
  const bytes = Buffer.from(mask);
  for (let at = HEADER_BYTES; at + ID_BYTES <= bytes.length; at += ID_BYTES) {
    if (bytes.readUInt32LE(at) === id) {
      return true;
    }
  }
  return false;
}
