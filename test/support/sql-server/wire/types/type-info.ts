import { SqlServerFault, type SqlType } from '../../seam.js';
import { type ByteReader, WireFormatError } from '../bytes/byte-reader.js';
import type { ByteWriter } from '../bytes/byte-writer.js';
import { COLLATION } from './collation.js';
import { magnitudeBytes } from './decimal.js';

/** How a value says how long it is. */
export type ValueLength =
  | { readonly kind: 'fixed'; readonly bytes: number }
  /** One byte; 0 is NULL. */
  | { readonly kind: 'byte' }
  /** Two bytes; 0xFFFF is NULL. */
  | { readonly kind: 'short' }
  /** Four bytes; -1 is NULL: the old long types. */
  | { readonly kind: 'long' }
  /** Eight bytes, then chunks: the `max` types. */
  | { readonly kind: 'chunks' };

/** A type as it stood on the wire. */
export interface WireType {
  readonly type: SqlType;
  readonly length: ValueLength;
  readonly collation: Buffer;
}

/** Type codes of the protocol. */
const Code = {
  nullType: 0x1f,
  image: 0x22,
  text: 0x23,
  guid: 0x24,
  intN: 0x26,
  dateN: 0x28,
  timeN: 0x29,
  dateTime2N: 0x2a,
  dateTimeOffsetN: 0x2b,
  int1: 0x30,
  bit: 0x32,
  int2: 0x34,
  int4: 0x38,
  smallDateTime: 0x3a,
  float4: 0x3b,
  money: 0x3c,
  dateTime: 0x3d,
  float8: 0x3e,
  nText: 0x63,
  bitN: 0x68,
  decimalN: 0x6a,
  numericN: 0x6c,
  floatN: 0x6d,
  moneyN: 0x6e,
  dateTimeN: 0x6f,
  smallMoney: 0x7a,
  int8: 0x7f,
  varBinary: 0xa5,
  varChar: 0xa7,
  binary: 0xad,
  char: 0xaf,
  nVarChar: 0xe7,
  nChar: 0xef,
} as const;

/** A length that means `max`. */
const MAX = 0xffff;
const MAX_BYTES = 8_000;
const DEFAULT_PRECISION = 18;
const DEFAULT_SCALE = 7;

/** What stands in a column's flags or user type beyond its type code. */
export const ROWVERSION_USER_TYPE = 0x50;

type Name = SqlType['name'];

/** Types of one size: the code that allows NULL, the code that does not, the size. */
const SIZED: Readonly<Partial<Record<Name, readonly [nullable: number, fixed: number, bytes: number]>>> = {
  bit: [Code.bitN, Code.bit, 1],
  tinyint: [Code.intN, Code.int1, 1],
  smallint: [Code.intN, Code.int2, 2],
  int: [Code.intN, Code.int4, 4],
  bigint: [Code.intN, Code.int8, 8],
  real: [Code.floatN, Code.float4, 4],
  float: [Code.floatN, Code.float8, 8],
  money: [Code.moneyN, Code.money, 8],
  smalldatetime: [Code.dateTimeN, Code.smallDateTime, 4],
  datetime: [Code.dateTimeN, Code.dateTime, 8],
};

const TEXT_CODES: Readonly<Partial<Record<Name, number>>> = {
  char: Code.char,
  varchar: Code.varChar,
  nchar: Code.nChar,
  nvarchar: Code.nVarChar,
};

const BINARY_CODES: Readonly<Partial<Record<Name, number>>> = {
  binary: Code.binary,
  varbinary: Code.varBinary,
  rowversion: Code.binary,
};

const SCALED_CODES: Readonly<Partial<Record<Name, number>>> = {
  time: Code.timeN,
  datetime2: Code.dateTime2N,
  datetimeoffset: Code.dateTimeOffsetN,
};

/** Writes TYPE_INFO, and says how values of the type are to follow. */
export function writeTypeInfo(writer: ByteWriter, type: SqlType): ValueLength {
  const sized = SIZED[type.name];
  if (sized !== undefined) {
    const [nullable, fixed, bytes] = sized;
    if (!type.nullable) {
      writer.u8(fixed);
      return { kind: 'fixed', bytes };
    }
    writer.u8(nullable).u8(bytes);
    return { kind: 'byte' };
  }
  if (type.name === 'decimal') {
    writer
      .u8(Code.numericN)
      .u8(1 + magnitudeBytes(precisionOf(type)))
      .u8(precisionOf(type))
      .u8(scaleOf(type));
    return { kind: 'byte' };
  }
  if (type.name === 'uniqueidentifier') {
    writer.u8(Code.guid).u8(16);
    return { kind: 'byte' };
  }
  if (type.name === 'date') {
    writer.u8(Code.dateN);
    return { kind: 'byte' };
  }
  const scaled = SCALED_CODES[type.name];
  if (scaled !== undefined) {
    writer.u8(scaled).u8(scaleOf(type));
    return { kind: 'byte' };
  }
  const text = TEXT_CODES[type.name];
  const size = maxBytesOf(type);
  writer.u8(text ?? BINARY_CODES[type.name]!).u16(size);
  if (text !== undefined) {
    writer.raw(COLLATION);
  }
  return size === MAX ? { kind: 'chunks' } : { kind: 'short' };
}

/**
 * Reads TYPE_INFO of a parameter.
 *
 * @throws SqlServerFault for a type that the test server has not, such as a table or `sql_variant`.
 */
export function readTypeInfo(reader: ByteReader): WireType {
  const code = reader.u8();
  const wire = (type: Omit<SqlType, 'nullable'>, length: ValueLength, collation: Buffer = COLLATION): WireType => ({
    type: { ...type, nullable: true },
    length,
    collation,
  });
  const byte: ValueLength = { kind: 'byte' };
  switch (code) {
    case Code.intN:
      return wire({ name: byCount(reader.u8(), { 1: 'tinyint', 2: 'smallint', 4: 'int', 8: 'bigint' }) }, byte);
    case Code.bitN:
      reader.u8();
      return wire({ name: 'bit' }, byte);
    case Code.floatN:
      return wire({ name: byCount(reader.u8(), { 4: 'real', 8: 'float' }) }, byte);
    case Code.moneyN:
      reader.u8();
      return wire({ name: 'money' }, byte);
    case Code.dateTimeN:
      return wire({ name: byCount(reader.u8(), { 4: 'smalldatetime', 8: 'datetime' }) }, byte);
    case Code.decimalN:
    case Code.numericN: {
      reader.u8();
      return wire({ name: 'decimal', precision: reader.u8(), scale: reader.u8() }, byte);
    }
    case Code.guid:
      reader.u8();
      return wire({ name: 'uniqueidentifier' }, byte);
    case Code.dateN:
      return wire({ name: 'date' }, byte);
    case Code.timeN:
      return wire({ name: 'time', scale: reader.u8() }, byte);
    case Code.dateTime2N:
      return wire({ name: 'datetime2', scale: reader.u8() }, byte);
    case Code.dateTimeOffsetN:
      return wire({ name: 'datetimeoffset', scale: reader.u8() }, byte);
    case Code.varBinary:
    case Code.binary: {
      const size = reader.u16();
      return wire({ name: code === Code.binary ? 'binary' : 'varbinary', length: sizeOf(size, 1) }, lengthOf(size));
    }
    case Code.varChar:
    case Code.char: {
      const size = reader.u16();
      const type = { name: code === Code.char ? 'char' : 'varchar', length: sizeOf(size, 1) } as const;
      return wire(type, lengthOf(size), reader.raw(COLLATION.length));
    }
    case Code.nVarChar:
    case Code.nChar: {
      const size = reader.u16();
      const type = { name: code === Code.nChar ? 'nchar' : 'nvarchar', length: sizeOf(size, 2) } as const;
      return wire(type, lengthOf(size), reader.raw(COLLATION.length));
    }
    case Code.text:
    case Code.nText: {
      reader.u32();
      const type = { name: code === Code.text ? 'varchar' : 'nvarchar', length: 'max' } as const;
      return wire(type, { kind: 'long' }, reader.raw(COLLATION.length));
    }
    case Code.image:
      reader.u32();
      return wire({ name: 'varbinary', length: 'max' }, { kind: 'long' });
    case Code.nullType:
      return wire({ name: 'nvarchar', length: 1 }, { kind: 'fixed', bytes: 0 });
    default: {
      const fixed = Object.entries(SIZED).find(([, [, fixedCode]]) => fixedCode === code);
      if (fixed !== undefined) {
        return wire({ name: fixed[0] as Name }, { kind: 'fixed', bytes: fixed[1][2] });
      }
      throw new SqlServerFault({
        number: 50_000,
        state: 1,
        class: 16,
        message: `The test server knows no parameter of type 0x${code.toString(16)}`,
        line: 1,
      });
    }
  }
}

export function precisionOf(type: SqlType): number {
  return type.precision ?? DEFAULT_PRECISION;
}

export function scaleOf(type: SqlType): number {
  return type.scale ?? (type.name === 'decimal' ? 0 : DEFAULT_SCALE);
}

/** Bytes that a value may have at most; 0xFFFF for the `max` forms. */
export function maxBytesOf(type: SqlType): number {
  if (type.name === 'rowversion') {
    return 8;
  }
  if (type.length === 'max') {
    return MAX;
  }
  const wide = type.name === 'nchar' || type.name === 'nvarchar';
  return type.length === undefined ? MAX_BYTES : type.length * (wide ? 2 : 1);
}

function lengthOf(size: number): ValueLength {
  return size === MAX ? { kind: 'chunks' } : { kind: 'short' };
}

function sizeOf(size: number, unit: number): number | 'max' {
  return size === MAX ? 'max' : size / unit;
}

function byCount(count: number, names: Readonly<Record<number, Name>>): Name {
  const name = names[count];
  if (name === undefined) {
    throw new WireFormatError(`a number of ${count} bytes`);
  }
  return name;
}
