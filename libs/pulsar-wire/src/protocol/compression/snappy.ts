import { DecompressionError } from '../../pulsar-wire.errors.js';
import { copyMatch } from './lz4.js';

const HASH_BITS = 13;
/** Matches never reach further back than the two-byte offset: the third form is for other encoders. */
const MAX_DISTANCE = 65_535;
const MATCH_START_LIMIT = 15;

/**
 * Snappy raw format, as Pulsar uses it.
 *
 * @param size what comes out: exactly as many bytes, or it is an error. The size that the bytes themselves announce must agree.
 * @throws {@link DecompressionError}
 */
export function snappyDecompress(source: Uint8Array, size: number): Buffer {
  const end = source.length;
  let from = 0;
  let announced = 0;
  for (let shift = 0; ; shift += 7) {
    if (from >= end || shift > 28) {
      throw broken('it announces no size');
    }
    const byte = source[from++]!;
    announced += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) {
      break;
    }
  }
  if (announced !== size) {
    throw broken(`it announces ${announced} bytes instead of ${size}`);
  }
  const output = Buffer.allocUnsafe(size);
  let to = 0;
  while (from < end) {
    const tag = source[from++]!;
    let length: number;
    let distance: number;
    switch (tag & 3) {
      case 0: {
        length = (tag >>> 2) + 1;
        if (length > 60) {
          const extra = length - 60;
          length = littleEndian(source, from, extra, end) + 1;
          from += extra;
        }
        if (length > end - from || length > size - to) {
          throw broken('literals go past the end');
        }
        output.set(source.subarray(from, from + length), to);
        from += length;
        to += length;
        continue;
      }
      case 1:
        length = ((tag >>> 2) & 7) + 4;
        distance = ((tag >>> 5) << 8) | littleEndian(source, from, 1, end);
        from += 1;
        break;
      case 2:
        length = (tag >>> 2) + 1;
        distance = littleEndian(source, from, 2, end);
        from += 2;
        break;
      default:
        length = (tag >>> 2) + 1;
        distance = littleEndian(source, from, 4, end);
        from += 4;
    }
    if (distance === 0 || distance > to || length > size - to) {
      throw broken('a match points outside');
    }
    to = copyMatch(output, to, distance, length);
  }
  if (to !== size) {
    throw broken(`${to} bytes instead of ${size}`);
  }
  return output;
}

function littleEndian(source: Uint8Array, at: number, count: number, end: number): number {
  if (count > end - at) {
    throw broken('it ends inside an offset');
  }
  let value = 0;
  for (let index = count - 1; index >= 0; index--) {
    value = value * 256 + source[at + index]!;
  }
  return value;
}

/** A table for {@link snappyCompress}; keep it, it is cleared for every call. */
export function snappyTable(): Int32Array {
  return new Int32Array(1 << HASH_BITS);
}

/** Compresses into Snappy's raw format: greedy, one hash table. */
export function snappyCompress(source: Uint8Array, table: Int32Array): Buffer {
  const size = source.length;
  const output = Buffer.allocUnsafe(32 + size + Math.ceil(size / 6));
  const matchLimit = size - MATCH_START_LIMIT;
  table.fill(-1);
  let to = 0;
  for (let rest = size; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      output[to++] = rest;
      break;
    }
    output[to++] = (rest % 128) | 0x80;
  }
  let anchor = 0;
  let at = 0;
  let misses = 0;
  while (at <= matchLimit) {
    const word = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24);
    const slot = Math.imul(word, 0x1e35_a7bd) >>> (32 - HASH_BITS);
    const candidate = table[slot]!;
    table[slot] = at;
    if (
      candidate < 0 ||
      at - candidate > MAX_DISTANCE ||
      (source[candidate]! |
        (source[candidate + 1]! << 8) |
        (source[candidate + 2]! << 16) |
        (source[candidate + 3]! << 24)) !==
        word
    ) {
      at += 1 + (misses++ >> 5);
      continue;
    }
    misses = 0;
    let length = 4;
    while (at + length < size && source[candidate + length] === source[at + length]) {
      length++;
    }
    to = putLiterals(output, to, source, anchor, at);
    to = putCopies(output, to, at - candidate, length);
    at += length;
    anchor = at;
  }
  return output.subarray(0, putLiterals(output, to, source, anchor, size));
}

function putLiterals(output: Buffer, start: number, source: Uint8Array, from: number, end: number): number {
  const count = end - from;
  if (count === 0) {
    return start;
  }
  let to = start;
  const last = count - 1;
  if (last < 60) {
    output[to++] = last << 2;
  } else {
    const extra = last < 0x100 ? 1 : last < 0x1_0000 ? 2 : last < 0x100_0000 ? 3 : 4;
    output[to++] = (59 + extra) << 2;
    for (let index = 0, rest = last; index < extra; index++, rest >>>= 8) {
      output[to++] = rest & 0xff;
    }
  }
  output.set(source.subarray(from, end), to);
  return to + count;
}

function putCopies(output: Buffer, start: number, distance: number, length: number): number {
  let to = start;
  let rest = length;
  while (rest > 0) {
    // Never leaves a remainder below 4, which the short form could not hold.
    const part = rest > 64 ? (rest < 68 ? 60 : 64) : rest;
    output[to++] = ((part - 1) << 2) | 2;
    output[to++] = distance & 0xff;
    output[to++] = distance >>> 8;
    rest -= part;
  }
  return to;
}

function broken(problem: string): DecompressionError {
  return new DecompressionError('Snappy', problem);
}
