import { MalformedFrameError, UnencodableValueError } from '../../pulsar-wire.errors.js';
import { type ByteReader, WIRE_BYTES, WIRE_FIXED64, WIRE_VARINT } from '../bytes/byte-reader.js';
import { type ByteWriter, checkI53, checkU32 } from '../bytes/byte-writer.js';
import { readProperty, writeProperties } from '../bytes/properties.js';
import type {
  DecodedMessage,
  EncodableMessage,
  Field,
  FieldKind,
  Fields,
  MessageTable,
  Presence,
} from './message-table.js';

/**
 * List elements that one message may hold. Two bytes on the wire can make an object of a hundred, so the frame limit alone does not
 * bound memory; the longest honest list, the topics of a namespace, needs 20 bytes of a 5 MiB frame for each.
 */
export const MAX_LIST_ELEMENTS = 262_144;

const WIRE_TYPES: Readonly<Record<FieldKind, number>> = {
  u32: WIRE_VARINT,
  i32: WIRE_VARINT,
  i53: WIRE_VARINT,
  i64: WIRE_VARINT,
  bool: WIRE_VARINT,
  bits: WIRE_VARINT,
  double: WIRE_FIXED64,
  string: WIRE_BYTES,
  bytes: WIRE_BYTES,
  message: WIRE_BYTES,
  properties: WIRE_BYTES,
};

type AnyField = Field<unknown, Presence>;
type Values = Record<string, unknown>;

/** Writes a message by its table, fields in ascending order. */
export function writeMessage<F extends Fields>(
  writer: ByteWriter,
  table: MessageTable<F>,
  values: EncodableMessage<F>,
): void {
  writeFields(writer, table, values);
}

/**
 * Reads the range of `reader` as a message. Unknown fields, and known ones of another wire type, are skipped.
 *
 * @throws {@link MalformedFrameError} when bytes are cut off, a required field is missing or a list is too long.
 */
export function readMessage<F extends Fields>(reader: ByteReader, table: MessageTable<F>): DecodedMessage<F> {
  const values = readFields(reader, table, { left: MAX_LIST_ELEMENTS });
  if (!isComplete(values, table)) {
    throw new MalformedFrameError(`${table.name} lacks a required field`);
  }
  return values;
}

function isComplete<F extends Fields>(values: object, table: MessageTable<F>): values is DecodedMessage<F> {
  return table.entries.every(
    ([name, field]) => field.presence === 'optional' || (name in values && valueOf(values, name) !== undefined),
  );
}

function valueOf(values: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(values, name)?.value;
}

function writeFields(writer: ByteWriter, table: MessageTable, values: object): void {
  for (const [name, field] of table.entries) {
    const value: unknown = Reflect.get(values, name);
    if (value === undefined) {
      if (field.presence === 'required') {
        throw new UnencodableValueError(`${table.name}.${name} is required`);
      }
      continue;
    }
    if (field.kind === 'properties') {
      writeProperties(writer, field.number, recordOf(value));
    } else if (field.kind === 'bits') {
      writeBits(writer, field.number, value);
    } else if (field.presence === 'repeated') {
      if (!Array.isArray(value)) {
        throw new UnencodableValueError(`${table.name}.${name} is no list`);
      }
      for (const element of value) {
        writeField(writer, table, name, field, element);
      }
    } else {
      writeField(writer, table, name, field, value);
    }
  }
}

function writeField(writer: ByteWriter, table: MessageTable, name: string, field: AnyField, value: unknown): void {
  writer.varint(field.number * 8 + WIRE_TYPES[field.kind]);
  switch (field.kind) {
    case 'u32':
      if (typeof value === 'number') {
        writer.varint(checkU32(value, `${table.name}.${name}`));
        return;
      }
      break;
    case 'i32':
    case 'i53':
      if (typeof value === 'number') {
        writer.i53(checkI53(value, `${table.name}.${name}`));
        return;
      }
      break;
    case 'i64':
      if (typeof value === 'bigint') {
        writer.i64(value);
        return;
      }
      break;
    case 'bool':
      if (typeof value === 'boolean') {
        writer.varint(value ? 1 : 0);
        return;
      }
      break;
    case 'double':
      if (typeof value === 'number') {
        writer.double(value);
        return;
      }
      break;
    case 'string':
      if (typeof value === 'string') {
        writer.string(value);
        return;
      }
      break;
    case 'bytes':
      if (value instanceof Uint8Array) {
        writer.blob(value);
        return;
      }
      break;
    case 'message':
      if (field.table !== undefined && typeof value === 'object' && value !== null) {
        const mark = writer.beginLength();
        writeFields(writer, field.table, value);
        writer.endLength(mark);
        return;
      }
      break;
    case 'properties':
    case 'bits':
      break;
  }
  throw new UnencodableValueError(`${table.name}.${name} is of type ${typeof value}, expected ${field.kind}`);
}

function writeBits(writer: ByteWriter, number: number, value: unknown): void {
  if (!(value instanceof Int32Array) || value.length % 2 !== 0) {
    throw new UnencodableValueError('a bit set is no Int32Array of an even length');
  }
  for (let index = 0; index < value.length; index += 2) {
    writer.varint(number * 8);
    writer.pair(value[index]!, value[index + 1]!);
  }
}

function recordOf(value: unknown): Readonly<Record<string, string>> {
  const record: Record<string, string> = {};
  if (typeof value !== 'object' || value === null) {
    throw new UnencodableValueError('properties are no record');
  }
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') {
      throw new UnencodableValueError(`property ${JSON.stringify(key)} is of type ${typeof text}, expected string`);
    }
    Object.defineProperty(record, key, { value: text, enumerable: true });
  }
  return record;
}

function readFields(reader: ByteReader, table: MessageTable, budget: { left: number }): Values {
  const values: Values = {};
  for (const [name, field] of table.entries) {
    if (field.presence === 'repeated' && field.kind !== 'bits') {
      values[name] = field.kind === 'properties' ? {} : [];
    }
  }
  const bits = new Map<string, number[]>();
  while (reader.position < reader.end) {
    const tag = reader.u32();
    const wireType = tag & 7;
    const entry = table.byNumber[tag >>> 3];
    if (tag >>> 3 === 0) {
      throw new MalformedFrameError(`field number 0 in ${table.name}`);
    }
    if (entry === undefined) {
      reader.skip(wireType);
      continue;
    }
    const [name, field] = entry;
    const expected = WIRE_TYPES[field.kind];
    const packed = field.presence === 'repeated' && expected === WIRE_VARINT && wireType === WIRE_BYTES;
    if (wireType !== expected && !packed) {
      reader.skip(wireType);
      continue;
    }
    if (packed) {
      const outer = reader.end;
      const length = reader.length();
      reader.end = reader.position + length;
      while (reader.position < reader.end) {
        readElement(reader, name, field, values, bits, budget);
      }
      reader.end = outer;
    } else if (field.presence === 'repeated') {
      readElement(reader, name, field, values, bits, budget);
    } else {
      values[name] = readValue(reader, field, budget);
    }
  }
  for (const [name, field] of table.entries) {
    if (field.kind === 'bits') {
      values[name] = Int32Array.from(bits.get(name) ?? []);
    } else if (field.presence === 'required' && values[name] === undefined) {
      throw new MalformedFrameError(`${table.name}.${name} is missing`);
    }
  }
  return values;
}

function readElement(
  reader: ByteReader,
  name: string,
  field: AnyField,
  values: Values,
  bits: Map<string, number[]>,
  budget: { left: number },
): void {
  if (budget.left-- <= 0) {
    throw new MalformedFrameError(`more than ${MAX_LIST_ELEMENTS} list elements`);
  }
  const list = values[name];
  if (field.kind === 'properties') {
    readProperty(reader, propertiesIn(values, name));
  } else if (field.kind === 'bits') {
    reader.varint();
    const halves = bits.get(name);
    if (halves === undefined) {
      bits.set(name, [reader.low, reader.high]);
    } else {
      halves.push(reader.low, reader.high);
    }
  } else if (Array.isArray(list)) {
    list.push(readValue(reader, field, budget));
  }
}

function propertiesIn(values: Values, name: string): Record<string, string> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- readFields put this very record there
  return values[name] as Record<string, string>;
}

function readValue(reader: ByteReader, field: AnyField, budget: { left: number }): unknown {
  switch (field.kind) {
    case 'u32':
      return reader.u32();
    case 'i32':
      return reader.i32();
    case 'i53':
      return reader.i53();
    case 'i64':
      return reader.i64();
    case 'bool':
      return reader.bool();
    case 'double':
      return reader.double();
    case 'string':
      return reader.string();
    case 'bytes':
      return reader.copy();
    case 'message':
      return field.table === undefined ? undefined : readNested(reader, field.table, budget);
    case 'properties':
    case 'bits':
    default:
      throw new MalformedFrameError(`a single value of kind ${field.kind}`);
  }
}

function readNested(reader: ByteReader, table: MessageTable, budget: { left: number }): Values {
  const outer = reader.end;
  const length = reader.length();
  reader.end = reader.position + length;
  const values = readFields(reader, table, budget);
  reader.end = outer;
  return values;
}
