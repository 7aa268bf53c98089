import type { SqlColumn, SqlMessage, SqlType, SqlValue } from '../../seam.js';
import { ByteWriter } from '../bytes/byte-writer.js';
import { ROWVERSION_USER_TYPE, type ValueLength, writeTypeInfo } from '../types/type-info.js';
import { writeValue } from '../types/values.js';

const Token = {
  returnStatus: 0x79,
  columns: 0x81,
  error: 0xaa,
  info: 0xab,
  loginAck: 0xad,
  featureAck: 0xae,
  returnValue: 0xac,
  row: 0xd1,
  rowWithBitmap: 0xd2,
  environmentChange: 0xe3,
  done: 0xfd,
  doneProc: 0xfe,
  doneInProc: 0xff,
} as const;

/** Which of the three tokens ends a statement. */
export type DoneToken = 'done' | 'doneProc' | 'doneInProc';

/** Bits of a DONE's status. */
export const DoneStatus = {
  final: 0,
  more: 0x01,
  error: 0x02,
  count: 0x10,
  attention: 0x20,
  serverError: 0x100,
} as const;

/** What kind of statement ended. */
const Command = { other: 0, select: 0xc1, call: 0xe0 } as const;

/** The kinds that a client can tell apart. */
export type StatementCommand = keyof typeof Command;

/** What changes in the client's picture of its session; the kinds of ENVCHANGE that the test server sends. */
export const Environment = {
  database: 1,
  language: 2,
  packetSize: 4,
  collation: 7,
  transactionBegun: 8,
  transactionCommitted: 9,
  transactionRolledBack: 10,
  reset: 18,
} as const;

const NULLABLE = 0x01;
const UPDATABLE_UNKNOWN = 0x08;
/** No message is longer on SQL Server, either. */
const LONGEST_MESSAGE = 2_047;

/** A result's columns, and how their values are to be written. */
export interface RowLayout {
  readonly columns: readonly SqlColumn[];
  readonly lengths: readonly ValueLength[];
}

export function columnsToken(columns: readonly SqlColumn[]): { readonly bytes: Buffer; readonly layout: RowLayout } {
  const writer = new ByteWriter().u8(Token.columns).u16(columns.length);
  const lengths = columns.map(({ name, type }) => {
    writer.u32(userType(type)).u16((type.nullable ? NULLABLE : 0) | UPDATABLE_UNKNOWN);
    const length = writeTypeInfo(writer, type);
    writer.shortText(name);
    return length;
  });
  return { bytes: writer.bytes, layout: { columns, lengths } };
}

/** ROW, or NBCROW where a bitmap of the nulls is shorter. */
export function rowToken({ columns, lengths }: RowLayout, values: readonly SqlValue[]): Buffer {
  if (values.length !== columns.length) {
    throw new RangeError(`A row of ${values.length} values for ${columns.length} columns`);
  }
  const nulls = values.filter((value) => value === null).length;
  const bitmapBytes = Math.ceil(columns.length / 8);
  const useBitmap = nulls > bitmapBytes;
  const writer = new ByteWriter();
  if (useBitmap) {
    const bitmap = Buffer.alloc(bitmapBytes);
    for (const [index, value] of values.entries()) {
      if (value === null) {
        bitmap[index >> 3] = (bitmap[index >> 3] ?? 0) | (1 << (index & 7));
      }
    }
    writer.u8(Token.rowWithBitmap).raw(bitmap);
  } else {
    writer.u8(Token.row);
  }
  for (const [index, value] of values.entries()) {
    if (value !== null || !useBitmap) {
      writeValue(writer, columns[index]!.type, lengths[index]!, value);
    }
  }
  return writer.bytes;
}

export function doneToken(kind: DoneToken, status: number, rows?: number, command: StatementCommand = 'other'): Buffer {
  return new ByteWriter()
    .u8(Token[kind])
    .u16(status | (rows === undefined ? 0 : DoneStatus.count))
    .u16(Command[command])
    .u64(BigInt(rows ?? 0)).bytes;
}

export function messageToken(kind: 'error' | 'info', message: SqlMessage, serverName: string): Buffer {
  const body = new ByteWriter()
    .i32(message.number)
    .u8(message.state)
    .u8(message.class)
    .longText(message.message.slice(0, LONGEST_MESSAGE))
    .shortText(serverName)
    .shortText(message.procedure ?? '')
    .u32(message.line).bytes;
  return withLength(Token[kind], body);
}

export function returnStatusToken(value: number): Buffer {
  return new ByteWriter().u8(Token.returnStatus).i32(value).bytes;
}

export function returnValueToken(ordinal: number, name: string, type: SqlType, value: SqlValue): Buffer {
  const writer = new ByteWriter().u8(Token.returnValue).u16(ordinal).shortText(name).u8(1);
  const nullable = { ...type, nullable: true };
  writer.u32(userType(type)).u16(NULLABLE);
  writeValue(writer, nullable, writeTypeInfo(writer, nullable), value);
  return writer.bytes;
}

/** ENVCHANGE whose values are text. */
export function textChange(kind: number, now: string, before: string): Buffer {
  return withLength(Token.environmentChange, new ByteWriter().u8(kind).shortText(now).shortText(before).bytes);
}

/** ENVCHANGE whose values are bytes. */
export function bytesChange(kind: number, now: Buffer, before: Buffer): Buffer {
  const body = new ByteWriter().u8(kind).u8(now.length).raw(now).u8(before.length).raw(before).bytes;
  return withLength(Token.environmentChange, body);
}

export function transactionChange(kind: 'begun' | 'committed' | 'rolledBack', descriptor: bigint): Buffer {
  const bytes = new ByteWriter().u64(descriptor).bytes;
  const none = Buffer.alloc(0);
  switch (kind) {
    case 'begun':
      return bytesChange(Environment.transactionBegun, bytes, none);
    case 'committed':
      return bytesChange(Environment.transactionCommitted, none, bytes);
    case 'rolledBack':
    default:
      return bytesChange(Environment.transactionRolledBack, none, bytes);
  }
}

/** `version` is major, minor and two bytes of build. */
export function loginAckToken(programName: string, version: Buffer): Buffer {
  const body = new ByteWriter()
    .u8(1)
    .raw(Buffer.from([0x74, 0x00, 0x00, 0x04]))
    .shortText(programName)
    .raw(version).bytes;
  return withLength(Token.loginAck, body);
}

export function featureAckToken(features: readonly (readonly [id: number, data: Buffer])[]): Buffer {
  const writer = new ByteWriter().u8(Token.featureAck);
  for (const [id, data] of features) {
    writer.u8(id).u32(data.length).raw(data);
  }
  return writer.u8(0xff).bytes;
}

function withLength(token: number, body: Buffer): Buffer {
  return new ByteWriter().u8(token).u16(body.length).raw(body).bytes;
}

function userType(type: SqlType): number {
  return type.name === 'rowversion' ? ROWVERSION_USER_TYPE : 0;
}
