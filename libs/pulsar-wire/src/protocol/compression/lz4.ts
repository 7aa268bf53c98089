import { DecompressionError } from '../../pulsar-wire.errors.js';

const MIN_MATCH = 4;
/** The last match must begin so far before the end, and the last bytes must be literals: the format's own rule. */
const MATCH_START_LIMIT = 12;
const LAST_LITERALS = 5;
const HASH_BITS = 13;
const MAX_DISTANCE = 65_535;

/**
 * LZ4 block format, without frame and without a size in front, as Pulsar uses it.
 *
 * @param size what comes out: exactly as many bytes, or it is an error. Nothing above it is ever allocated.
 * @throws {@link DecompressionError}
 */
export function lz4Decompress(source: Uint8Array, size: number): Buffer {
  const output = Buffer.allocUnsafe(size);
  const end = source.length;
  let from = 0;
  let to = 0;
  while (from < end) {
    const token = source[from++]!;
    let literals = token >>> 4;
    if (literals === 15) {
      let more: number;
      do {
        if (from >= end) {
          throw broken('it ends inside a length');
        }
        more = source[from++]!;
        literals += more;
      } while (more === 255);
    }
    if (literals > end - from || literals > size - to) {
      throw broken('literals go past the end');
    }
    if (literals > 16) {
      output.set(source.subarray(from, from + literals), to);
      from += literals;
      to += literals;
    } else {
      for (const stop = from + literals; from < stop;) {
        output[to++] = source[from++]!;
      }
    }
    if (from === end) {
      break;
    }
    if (end - from < 2) {
      throw broken('it ends inside an offset');
    }
    const distance = source[from]! | (source[from + 1]! << 8);
    from += 2;
    let length = token & 15;
    if (length === 15) {
      let more: number;
      do {
        if (from >= end) {
          throw broken('it ends inside a length');
        }
        more = source[from++]!;
        length += more;
      } while (more === 255);
    }
    length += MIN_MATCH;
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

/** Copies `length` bytes from `distance` bytes back; they may overlap, then the bytes repeat. */
export function copyMatch(output: Buffer, to: number, distance: number, length: number): number {
  if (distance >= length && length > 24) {
    output.copyWithin(to, to - distance, to - distance + length);
    return to + length;
  }
  const stop = to + length;
  for (let at = to; at < stop; at++) {
    output[at] = output[at - distance]!;
  }
  return stop;
}

/** The largest block that `size` bytes can become. */
export function lz4Bound(size: number): number {
  return size + Math.ceil(size / 255) + 16;
}

/** A table for {@link lz4Compress}; keep it, it is cleared for every call. */
export function lz4Table(): Int32Array {
  return new Int32Array(1 << HASH_BITS);
}

/** Compresses into one LZ4 block: greedy, one hash table. What does not compress grows by 0.4 per cent. */
export function lz4Compress(source: Uint8Array, table: Int32Array): Buffer {
  const size = source.length;
  const output = Buffer.allocUnsafe(lz4Bound(size));
  const matchLimit = size - MATCH_START_LIMIT;
  const copyLimit = size - LAST_LITERALS;
  table.fill(-1);
  let anchor = 0;
  let at = 0;
  let to = 0;
  let misses = 0;
  while (at <= matchLimit) {
    const word = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24);
    const slot = Math.imul(word, 0x9e37_79b1) >>> (32 - HASH_BITS);
    const candidate = table[slot]!;
    table[slot] = at;
    if (candidate < 0 || at - candidate > MAX_DISTANCE || !sameWord(source, candidate, word)) {
      // The longer nothing is found, the larger the steps: incompressible input costs little.
      at += 1 + (misses++ >> 6);
      continue;
    }
    misses = 0;
    let length = MIN_MATCH;
    while (at + length < copyLimit && source[candidate + length] === source[at + length]) {
      length++;
    }
    to = putSequence(output, to, source, anchor, at, at - candidate, length);
    at += length;
    anchor = at;
  }
  to = putLiterals(output, to, source, anchor, size, 0);
  return output.subarray(0, to);
}

function sameWord(source: Uint8Array, at: number, word: number): boolean {
  return (source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24)) === word;
}

function putSequence(
  output: Buffer,
  start: number,
  source: Uint8Array,
  anchor: number,
  at: number,
  distance: number,
  length: number,
): number {
  const rest = length - MIN_MATCH;
  let to = putLiterals(output, start, source, anchor, at, Math.min(rest, 15));
  output[to++] = distance & 0xff;
  output[to++] = distance >>> 8;
  return rest >= 15 ? putLength(output, to, rest - 15) : to;
}

function putLiterals(
  output: Buffer,
  start: number,
  source: Uint8Array,
  from: number,
  end: number,
  matchNibble: number,
): number {
  const count = end - from;
  let to = start;
  output[to++] = (Math.min(count, 15) << 4) | matchNibble;
  if (count >= 15) {
    to = putLength(output, to, count - 15);
  }
  output.set(source.subarray(from, end), to);
  return to + count;
}

function putLength(output: Buffer, start: number, length: number): number {
  let to = start;
  let rest = length;
  for (; rest >= 255; rest -= 255) {
    output[to++] = 255;
  }
  output[to++] = rest;
  return to;
}

function broken(problem: string): DecompressionError {
  return new DecompressionError('LZ4', problem);
}
