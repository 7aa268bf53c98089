import { Crc32cLoops } from './crc32c.loops.js';
import { LAYOUT } from './crc32c.module.js';

/**
 * CRC-32C (Castagnoli), eight bytes at a time. `zlib.crc32` is another polynomial. Known answer: "123456789" gives 0xe3069283.
 */
/** For the last of eight bytes, the one before, and so on. */
export const CRC32C_TABLES: readonly Int32Array[] = makeTables();
const [T0, T1, T2, T3, T4, T5, T6, T7] = CRC32C_TABLES;

function makeTables(): Int32Array[] {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256));
  const first = tables[0]!;
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    }
    first[byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    let crc = first[byte]!;
    for (const table of tables) {
      table[byte] = crc;
      crc = (crc >>> 8) ^ first[crc & 0xff]!;
    }
  }
  return tables;
}

/** From so many bytes on the copy into the module's memory pays: measured, a kibibyte takes 0.8 µs here and, of 128, 0.1 µs there. */
const WORTH_A_COPY = 3_072;
/** Undefined where WebAssembly is switched off, or has no vectors. */
const loops = Crc32cLoops.create(CRC32C_TABLES);

/**
 * The CRC-32C of `bytes[start, end)`, unsigned.
 *
 * @param previous the checksum of what stands before, to go on from.
 */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length, previous = 0): number {
  let crc = previous;
  let at = start;
  if (loops !== undefined) {
    for (; end - at >= WORTH_A_COPY; at += LAYOUT.capacity) {
      crc = loops.checksum(bytes, at, Math.min(end, at + LAYOUT.capacity), crc);
    }
  }
  return at < end ? crc32cInScript(bytes, at, end, crc) : crc;
}

/** The same without WebAssembly: for what is short, and where there is none. */
export function crc32cInScript(bytes: Uint8Array, start: number, end: number, previous: number): number {
  const t0 = T0!;
  const t1 = T1!;
  const t2 = T2!;
  const t3 = T3!;
  const t4 = T4!;
  const t5 = T5!;
  const t6 = T6!;
  const t7 = T7!;
  let crc = ~previous;
  let at = start;
  for (const last = end - 8; at <= last; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      t7[crc & 0xff]! ^
      t6[(crc >>> 8) & 0xff]! ^
      t5[(crc >>> 16) & 0xff]! ^
      t4[crc >>> 24]! ^
      t3[bytes[at + 4]!]! ^
      t2[bytes[at + 5]!]! ^
      t1[bytes[at + 6]!]! ^
      t0[bytes[at + 7]!]!;
  }
  for (; at < end; at++) {
    crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]!) & 0xff]!;
  }
  return ~crc >>> 0;
}
