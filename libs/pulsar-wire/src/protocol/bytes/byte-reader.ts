import { MalformedFrameError } from '../../pulsar-wire.errors.js';

/** Wire types of protobuf that Pulsar uses. */
export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_FIXED32 = 5;

const TWO_32 = 4_294_967_296;

/**
 * Reads protobuf values from a range of bytes, without copying and never past its end. One reader may be used for many ranges
 * ({@link reset}): decoders keep theirs.
 *
 * 64-bit values go through {@link low} and {@link high}: a BigInt is made only where one is asked for.
 */
export class ByteReader {
  bytes: Buffer;
  position: number;
  end: number;
  /** Low 32 bits of the last 64-bit value, as a signed number. */
  low = 0;
  /** High 32 bits of the last 64-bit value, as a signed number. */
  high = 0;

  constructor(bytes: Buffer, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  /** Turns to another range. */
  reset(bytes: Buffer, start: number, end: number): this {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
    return this;
  }

  /** Reads a varint into {@link low} and {@link high}. */
  varint(): void {
    const { bytes, end } = this;
    let position = this.position;
    let low = 0;
    let byte = 0;
    this.high = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      if (position >= end) {
        throw truncated('a varint');
      }
      byte = bytes[position++]!;
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.low = low;
        this.position = position;
        return;
      }
    }
    if (position >= end) {
      throw truncated('a varint');
    }
    byte = bytes[position++]!;
    this.low = low | ((byte & 0x7f) << 28);
    let high = (byte & 0x7f) >> 4;
    for (let shift = 3; byte >= 0x80; shift += 7) {
      if (shift > 31) {
        throw new MalformedFrameError('a varint of more than 10 bytes');
      }
      if (position >= end) {
        throw truncated('a varint');
      }
      byte = bytes[position++]!;
      high |= (byte & 0x7f) << shift;
    }
    this.high = high;
    this.position = position;
  }

  /** The low 32 bits of a varint, unsigned: what protobuf makes of a too long `uint32`. */
  u32(): number {
    this.varint();
    return this.low >>> 0;
  }

  /** The low 32 bits of a varint, signed. */
  i32(): number {
    this.varint();
    return this.low;
  }

  bool(): boolean {
    this.varint();
    return this.low !== 0 || this.high !== 0;
  }

  /** A 64-bit value as a number, signed (2^64 − 1 is −1). What a number cannot hold exactly saturates at ±(2^53 − 1). */
  i53(): number {
    this.varint();
    const value = this.high * TWO_32 + (this.low >>> 0);
    return value > Number.MAX_SAFE_INTEGER
      ? Number.MAX_SAFE_INTEGER
      : value < Number.MIN_SAFE_INTEGER
        ? Number.MIN_SAFE_INTEGER
        : value;
  }

  /** A 64-bit value, signed. */
  i64(): bigint {
    this.varint();
    const { high } = this;
    // Real ids fit into a number, and BigInt(number) takes a fraction of the time of shifting two halves together.
    return high >= -0x20_0000 && high < 0x20_0000
      ? BigInt(high * TWO_32 + (this.low >>> 0))
      : (BigInt(high) << 32n) | BigInt(this.low >>> 0);
  }

  /** A 64-bit value, unsigned. */
  u64(): bigint {
    const value = this.i64();
    return value < 0n ? BigInt.asUintN(64, value) : value;
  }

  /** The length of what follows, checked against the end. */
  length(): number {
    this.varint();
    const length = this.low;
    if (this.high !== 0 || length < 0 || length > this.end - this.position) {
      throw truncated('a field');
    }
    return length;
  }

  /** Four bytes, big-endian: Pulsar's own sizes, not protobuf's. */
  fixed32(): number {
    const { bytes, position } = this;
    if (this.end - position < 4) {
      throw truncated('a size');
    }
    this.position = position + 4;
    return (
      bytes[position]! * 0x100_0000 +
      ((bytes[position + 1]! << 16) | (bytes[position + 2]! << 8) | bytes[position + 3]!)
    );
  }

  /** Eight bytes, little-endian. */
  double(): number {
    if (this.end - this.position < 8) {
      throw truncated('a double');
    }
    const value = this.bytes.readDoubleLE(this.position);
    this.position += 8;
    return value;
  }

  string(): string {
    const length = this.length();
    const start = this.position;
    this.position = start + length;
    return this.bytes.toString('utf8', start, start + length);
  }

  /** A copy: keeps nothing of the buffer alive. */
  copy(): Uint8Array {
    const length = this.length();
    const start = this.position;
    this.position = start + length;
    const copied = new Uint8Array(length);
    copied.set(this.bytes.subarray(start, start + length));
    return copied;
  }

  /** Skips the value of an unknown field. */
  skip(wireType: number): void {
    switch (wireType) {
      case WIRE_VARINT:
        this.varint();
        return;
      case WIRE_FIXED64:
        this.#advance(8);
        return;
      case WIRE_BYTES:
        this.#advance(this.length());
        return;
      case WIRE_FIXED32:
        this.#advance(4);
        return;
      default:
        throw new MalformedFrameError(`wire type ${wireType}`);
    }
  }

  #advance(count: number): void {
    if (count > this.end - this.position) {
      throw truncated('a field');
    }
    this.position += count;
  }
}

function truncated(what: string): MalformedFrameError {
  return new MalformedFrameError(`${what} goes past the end`);
}
