/** Writes little-endian fields into a buffer that grows. */
export class ByteWriter {
  private buffer: Buffer = Buffer.allocUnsafe(256);
  private length = 0;

  /** What was written so far; later writes do not change it. */
  get bytes(): Buffer {
    return Buffer.from(this.buffer.subarray(0, this.length));
  }

  u8(value: number): this {
    const at = this.room(1);
    this.buffer.writeUInt8(value, at);
    return this;
  }

  u16(value: number): this {
    const at = this.room(2);
    this.buffer.writeUInt16LE(value, at);
    return this;
  }

  i16(value: number): this {
    const at = this.room(2);
    this.buffer.writeInt16LE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.room(4);
    this.buffer.writeUInt32LE(value, at);
    return this;
  }

  i32(value: number): this {
    const at = this.room(4);
    this.buffer.writeInt32LE(value, at);
    return this;
  }

  u64(value: bigint): this {
    const at = this.room(8);
    this.buffer.writeBigUInt64LE(value, at);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.room(bytes.length);
    this.buffer.set(bytes, at);
    return this;
  }

  utf16(text: string): this {
    const size = text.length * 2;
    const at = this.room(size);
    this.buffer.write(text, at, size, 'utf16le');
    return this;
  }

  /** B_VARCHAR: a byte counts the code units. */
  shortText(text: string): this {
    return this.u8(text.length).utf16(text);
  }

  /** US_VARCHAR: two bytes count the code units. */
  longText(text: string): this {
    return this.u16(text.length).utf16(text);
  }

  /** Where so many bytes go; the buffer may be another one afterwards. */
  private room(count: number): number {
    const start = this.length;
    const needed = start + count;
    if (needed > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2));
      this.buffer.copy(grown, 0, 0, start);
      this.buffer = grown;
    }
    this.length = needed;
    return start;
  }
}
