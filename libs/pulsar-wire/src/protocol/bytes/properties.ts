import { MalformedFrameError } from '../../pulsar-wire.errors.js';
import { type ByteReader, WIRE_BYTES } from './byte-reader.js';
import type { ByteWriter } from './byte-writer.js';

const KEY_TAG = 0x0a;
const VALUE_TAG = 0x12;

/** Puts a property into a record, also one called `__proto__`, which an assignment would drop. */
export function putProperty(record: Record<string, string>, key: string, value: string): void {
  if (key === '__proto__') {
    Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    record[key] = value;
  }
}

/** Reads one `KeyValue` with its length into `record`. */
export function readProperty(reader: ByteReader, record: Record<string, string>): void {
  const outer = reader.end;
  const length = reader.length();
  reader.end = reader.position + length;
  let key: string | undefined;
  let value: string | undefined;
  while (reader.position < reader.end) {
    const tag = reader.u32();
    if (tag === KEY_TAG) {
      key = reader.string();
    } else if (tag === VALUE_TAG) {
      value = reader.string();
    } else {
      reader.skip(tag & 7);
    }
  }
  reader.end = outer;
  if (key === undefined || value === undefined) {
    throw new MalformedFrameError('a property without key or value');
  }
  putProperty(record, key, value);
}

/** Writes a record as repeated `KeyValue` under the given field number, below 16. */
export function writeProperties(writer: ByteWriter, field: number, record: Readonly<Record<string, string>>): void {
  const tag = (field << 3) | WIRE_BYTES;
  for (const key of Object.keys(record)) {
    writer.varint(tag);
    const mark = writer.beginLength();
    writer.varint(KEY_TAG);
    writer.string(key);
    writer.varint(VALUE_TAG);
    writer.string(record[key] ?? '');
    writer.endLength(mark);
  }
}
