import type { SqlType, SqlValue } from '../../seam.js';
import type { ByteReader } from '../bytes/byte-reader.js';
import type { ByteWriter } from '../bytes/byte-writer.js';
import { decodeNarrow, encodeNarrow } from './collation.js';
import {
  decodeDate,
  decodeDateTime,
  decodeDateTime2,
  decodeDateTimeOffset,
  decodeSmallDateTime,
  decodeTime,
  encodeDate,
  encodeDateTime,
  encodeDateTime2,
  encodeDateTimeOffset,
  encodeSmallDateTime,
  encodeTime,
} from './dates.js';
import { decodeDecimal, decodeMoney, encodeDecimal, encodeMoney } from './decimal.js';
import { decodeGuid, encodeGuid } from './guid.js';
import { maxBytesOf, precisionOf, scaleOf, type ValueLength, type WireType } from './type-info.js';

const NO_CHUNKS = 0xffff_ffff_ffff_ffffn;

/**
 * Writes a value behind its length.
 *
 * @throws RangeError when the value is not one of its type: an engine that loses a digit is to be seen, not mended.
 */
export function writeValue(writer: ByteWriter, type: SqlType, length: ValueLength, value: SqlValue): void {
  const bytes = value === null ? undefined : CODECS[type.name].encode(type, value);
  if (bytes === undefined && !type.nullable) {
    throw new RangeError(`NULL in a ${type.name} that allows none`);
  }
  switch (length.kind) {
    case 'fixed':
      writer.raw(bytes ?? Buffer.alloc(length.bytes));
      break;
    case 'byte':
      writer.u8(bytes?.length ?? 0).raw(bytes ?? Buffer.alloc(0));
      break;
    case 'short':
      writer.u16(bytes?.length ?? 0xffff).raw(bytes ?? Buffer.alloc(0));
      break;
    case 'long':
      writer.i32(bytes?.length ?? -1).raw(bytes ?? Buffer.alloc(0));
      break;
    case 'chunks':
      if (bytes === undefined) {
        writer.u64(NO_CHUNKS);
        break;
      }
      writer.u64(BigInt(bytes.length));
      if (bytes.length > 0) {
        writer.u32(bytes.length).raw(bytes);
      }
      writer.u32(0);
      break;
  }
}

/** Reads a parameter's value. */
export function readValue(reader: ByteReader, { type, length, collation }: WireType): SqlValue {
  const bytes = readBytes(reader, length);
  return bytes === undefined ? null : CODECS[type.name].decode(type, bytes, collation);
}

function readBytes(reader: ByteReader, length: ValueLength): Buffer | undefined {
  switch (length.kind) {
    case 'fixed':
      return length.bytes === 0 ? undefined : reader.raw(length.bytes);
    case 'byte': {
      const count = reader.u8();
      return count === 0 ? undefined : reader.raw(count);
    }
    case 'short': {
      const count = reader.u16();
      return count === 0xffff ? undefined : reader.raw(count);
    }
    case 'long': {
      const count = reader.i32();
      return count < 0 ? undefined : reader.raw(count);
    }
    case 'chunks':
    default: {
      if (reader.u64() === NO_CHUNKS) {
        return undefined;
      }
      const chunks: Buffer[] = [];
      for (let count = reader.u32(); count > 0; count = reader.u32()) {
        chunks.push(reader.raw(count));
      }
      return Buffer.concat(chunks);
    }
  }
}

type Value = Exclude<SqlValue, null>;

/** How values of a type travel, without their length. */
interface Codec {
  encode(type: SqlType, value: Value): Buffer;
  decode(type: SqlType, bytes: Buffer, collation: Buffer): Value;
}

const narrowText: Codec = {
  encode: (type, value) => bounded(type, encodeNarrow(expect(type, value, 'string'))),
  decode: (_type, bytes, collation) => decodeNarrow(bytes, collation),
};

const wideText: Codec = {
  encode: (type, value) => bounded(type, Buffer.from(expect(type, value, 'string'), 'utf16le')),
  decode: (_type, bytes) => bytes.toString('utf16le'),
};

const binary: Codec = {
  encode: (type, value) => {
    if (!(value instanceof Uint8Array)) {
      throw mismatch(type, value);
    }
    return bounded(type, Buffer.from(value));
  },
  decode: (_type, bytes) => new Uint8Array(bytes),
};

const CODECS: Readonly<Record<SqlType['name'], Codec>> = {
  bit: {
    encode: (type, value) => Buffer.from([expect(type, value, 'boolean') ? 1 : 0]),
    decode: (_type, bytes) => bytes.readUInt8() !== 0,
  },
  tinyint: integer(1),
  smallint: integer(2),
  int: integer(4),
  bigint: integer(8),
  real: {
    encode: (type, value) => {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(expect(type, value, 'number'));
      return bytes;
    },
    decode: (_type, bytes) => bytes.readFloatLE(),
  },
  float: {
    encode: (type, value) => {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleLE(expect(type, value, 'number'));
      return bytes;
    },
    decode: (_type, bytes) => bytes.readDoubleLE(),
  },
  decimal: writtenAs(
    (text, type) => encodeDecimal(text, precisionOf(type), scaleOf(type)),
    (bytes, type) => decodeDecimal(bytes, scaleOf(type)),
  ),
  money: writtenAs(encodeMoney, decodeMoney),
  char: narrowText,
  varchar: narrowText,
  nchar: wideText,
  nvarchar: wideText,
  binary,
  varbinary: binary,
  rowversion: binary,
  uniqueidentifier: writtenAs(encodeGuid, decodeGuid),
  date: writtenAs(encodeDate, decodeDate),
  time: writtenAs(
    (text, type) => encodeTime(text, scaleOf(type)),
    (bytes, type) => decodeTime(bytes, scaleOf(type)),
  ),
  smalldatetime: writtenAs(encodeSmallDateTime, decodeSmallDateTime),
  datetime: writtenAs(encodeDateTime, decodeDateTime),
  datetime2: writtenAs(
    (text, type) => encodeDateTime2(text, scaleOf(type)),
    (bytes, type) => decodeDateTime2(bytes, scaleOf(type)),
  ),
  datetimeoffset: writtenAs(
    (text, type) => encodeDateTimeOffset(text, scaleOf(type)),
    (bytes, type) => decodeDateTimeOffset(bytes, scaleOf(type)),
  ),
};

/** A type whose values cross the seam as SQL Server's own text. */
function writtenAs(
  encode: (text: string, type: SqlType) => Buffer,
  decode: (bytes: Buffer, type: SqlType) => string,
): Codec {
  return {
    encode: (type, value) => encode(expect(type, value, 'string'), type),
    decode: (type, bytes) => decode(bytes, type),
  };
}

/** A whole number of so many bytes; `tinyint`, the only one of a single byte, has no sign. */
function integer(count: 1 | 2 | 4 | 8): Codec {
  const bits = count * 8;
  const fit = (value: bigint): bigint => (count === 1 ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value));
  return {
    encode: (type, value) => {
      const whole = expect(type, value, 'bigint');
      if (fit(whole) !== whole) {
        throw new RangeError(`${whole} does not fit ${type.name}`);
      }
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(whole);
      return bytes.subarray(0, count);
    },
    decode: (_type, bytes) => fit(Buffer.concat([bytes, Buffer.alloc(8 - count)]).readBigInt64LE()),
  };
}

function bounded(type: SqlType, bytes: Buffer): Buffer {
  const most = maxBytesOf(type);
  if (most !== 0xffff && bytes.length > most) {
    throw new RangeError(`${bytes.length} bytes in a ${type.name} of ${most}`);
  }
  return bytes;
}

interface Kinds {
  readonly boolean: boolean;
  readonly bigint: bigint;
  readonly number: number;
  readonly string: string;
}

function expect<K extends keyof Kinds>(type: SqlType, value: Value, kind: K): Kinds[K] {
  if (typeof value !== kind) {
    throw mismatch(type, value);
  }
  return value as Kinds[K];
}

function mismatch(type: SqlType, value: Value): RangeError {
  return new RangeError(`A ${value instanceof Uint8Array ? 'binary' : typeof value} is no value for ${type.name}`);
}
