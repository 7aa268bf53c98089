import { UnencodableValueError } from '../../pulsar-wire.errors.js';

const TWO_32 = 4_294_967_296;
const MASK_32 = 0xffff_ffffn;
/** Below this many characters a loop is faster than a call into the engine. */
const SHORT_TEXT = 48;

/** Gives at least so many bytes, with anything in them, to nobody else. */
export type TakeMemory = (bytes: number) => Buffer;

/** New memory each time. */
export const freshMemory: TakeMemory = (bytes) => Buffer.allocUnsafeSlow(bytes);

/**
 * Writes protobuf values one after another into a buffer that grows. Reused by its owner: {@link position} = 0 begins anew, what was
 * handed out before must have been copied or given away with {@link take}.
 */
export class ByteWriter {
  bytes: Buffer;
  position = 0;
  readonly #memory: TakeMemory;

  /**
   * @param initialBytes the size to begin with.
   * @param memory where the bytes come from.
   */
  constructor(initialBytes = 256, memory: TakeMemory = freshMemory) {
    this.#memory = memory;
    this.bytes = memory(initialBytes);
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.position + count;
    if (needed > this.bytes.length) {
      const grown = this.#memory(Math.max(needed, this.bytes.length * 2));
      this.bytes.copy(grown, 0, 0, this.position);
      this.bytes = grown;
    }
  }

  /** A copy of everything written; the writer begins anew. */
  take(): Buffer {
    const taken = Buffer.allocUnsafe(this.position);
    this.bytes.copy(taken, 0, 0, this.position);
    this.position = 0;
    return taken;
  }

  /** A varint of a whole number from 0 to 2^53 − 1. */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new UnencodableValueError(`a number is ${value}, expected a whole number of 0 or more`);
    }
    this.reserve(10);
    const { bytes } = this;
    let rest = value;
    while (rest > 0x7fff_ffff) {
      bytes[this.position++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      bytes[this.position++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[this.position++] = rest;
  }

  /** A whole number of ±(2^53 − 1); a negative one takes ten bytes. */
  i53(value: number): void {
    if (value >= 0) {
      this.varint(value);
    } else {
      this.pair(value | 0, Math.floor(value / TWO_32) | 0);
    }
  }

  /** 64 bits; a negative value is what its two's complement says. */
  i64(value: bigint): void {
    if (value >= 0n && value <= 0x1f_ffff_ffff_ffffn) {
      this.varint(Number(value));
    } else {
      const bits = BigInt.asUintN(64, value);
      this.pair(Number(bits & MASK_32) | 0, Number(bits >> 32n) | 0);
    }
  }

  /** 64 bits in two halves. */
  pair(low: number, high: number): void {
    this.reserve(10);
    let a = low;
    let b = high;
    while (b !== 0 || a >>> 0 > 0x7f) {
      this.bytes[this.position++] = (a & 0x7f) | 0x80;
      a = (a >>> 7) | (b << 25);
      b >>>= 7;
    }
    this.bytes[this.position++] = a;
  }

  /** Four bytes, big-endian. */
  fixed32(value: number): void {
    this.reserve(4);
    this.patch32(this.position, value);
    this.position += 4;
  }

  /** Eight bytes, little-endian. */
  double(value: number): void {
    this.reserve(8);
    this.position = this.bytes.writeDoubleLE(value, this.position);
  }

  /** Overwrites four bytes, big-endian. */
  patch32(at: number, value: number): void {
    const { bytes } = this;
    bytes[at] = value >>> 24;
    bytes[at + 1] = (value >>> 16) & 0xff;
    bytes[at + 2] = (value >>> 8) & 0xff;
    bytes[at + 3] = value & 0xff;
  }

  /** A length and the UTF-8 bytes of `text`. */
  string(text: string): void {
    const { length } = text;
    if (length < SHORT_TEXT) {
      this.reserve(length + 1);
      const { bytes } = this;
      const start = this.position + 1;
      let index = 0;
      for (; index < length; index++) {
        const unit = text.charCodeAt(index);
        if (unit > 0x7f) {
          break;
        }
        bytes[start + index] = unit;
      }
      if (index === length) {
        bytes[start - 1] = length;
        this.position = start + length;
        return;
      }
    }
    const size = Buffer.byteLength(text);
    this.varint(size);
    this.reserve(size);
    this.bytes.write(text, this.position, size, 'utf8');
    this.position += size;
  }

  /** A length and the bytes. */
  blob(value: Uint8Array): void {
    this.varint(value.length);
    this.raw(value);
  }

  /** The bytes alone. */
  raw(value: Uint8Array): void {
    this.reserve(value.length);
    this.bytes.set(value, this.position);
    this.position += value.length;
  }

  /** Begins something with a length in front; {@link endLength} with the answer ends it. */
  beginLength(): number {
    this.reserve(1);
    return this.position++;
  }

  /** Puts the length in front of what was written since {@link beginLength}. */
  endLength(mark: number): void {
    const length = this.position - mark - 1;
    if (length < 0x80) {
      this.bytes[mark] = length;
      return;
    }
    // Rare: most nested messages are short, so one byte is kept free and the others make room for themselves.
    const extra = length < 0x4000 ? 1 : length < 0x20_0000 ? 2 : length < 0x1000_0000 ? 3 : 4;
    this.reserve(extra);
    this.bytes.copyWithin(mark + 1 + extra, mark + 1, this.position);
    const end = this.position + extra;
    this.position = mark;
    this.varint(length);
    this.position = end;
  }
}

/** @throws {@link UnencodableValueError} when `value` is no whole number from 0 to 2^32 − 1. */
export function checkU32(value: number, field: string): number {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new UnencodableValueError(`${field} is ${value}, expected a whole number from 0 to 4294967295`);
  }
  return value;
}

/** @throws {@link UnencodableValueError} when `value` is no whole number of ±(2^53 − 1). */
export function checkI53(value: number, field: string): number {
  if (!Number.isSafeInteger(value)) {
    throw new UnencodableValueError(`${field} is ${value}, expected a whole number`);
  }
  return value;
}
