/** What a client sent cannot be TDS: the connection ends, as it does on SQL Server. */
export class WireFormatError extends Error {
  constructor(reason: string) {
    super(`Not TDS: ${reason}`);
    this.name = 'WireFormatError';
  }
}

/** Reads little-endian fields of one message, and never past its end. */
export class ByteReader {
  private offset = 0;

  constructor(private readonly bytes: Buffer) {}

  get left(): number {
    return this.bytes.length - this.offset;
  }

  u8(): number {
    return this.bytes.readUInt8(this.take(1));
  }

  u16(): number {
    return this.bytes.readUInt16LE(this.take(2));
  }

  i16(): number {
    return this.bytes.readInt16LE(this.take(2));
  }

  u32(): number {
    return this.bytes.readUInt32LE(this.take(4));
  }

  i32(): number {
    return this.bytes.readInt32LE(this.take(4));
  }

  u64(): bigint {
    return this.bytes.readBigUInt64LE(this.take(8));
  }

  raw(count: number): Buffer {
    const start = this.take(count);
    return this.bytes.subarray(start, start + count);
  }

  rest(): Buffer {
    return this.raw(this.left);
  }

  /** UTF-16LE text of so many code units. */
  utf16(units: number): string {
    return this.raw(units * 2).toString('utf16le');
  }

  /** B_VARCHAR: a byte counts the code units. */
  shortText(): string {
    return this.utf16(this.u8());
  }

  private take(count: number): number {
    const start = this.offset;
    if (start + count > this.bytes.length) {
      throw new WireFormatError(`a field of ${count} bytes at ${start} in a message of ${this.bytes.length}`);
    }
    this.offset = start + count;
    return start;
  }
}
