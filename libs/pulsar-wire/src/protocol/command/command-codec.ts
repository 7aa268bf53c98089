import { MalformedFrameError } from '../../pulsar-wire.errors.js';
import { ByteReader, WIRE_BYTES } from '../bytes/byte-reader.js';
import { ByteWriter } from '../bytes/byte-writer.js';
import type { Fields, MessageTable } from '../table/message-table.js';
import { readMessage, writeMessage } from '../table/table-codec.js';
import {
  type Command,
  type CommandInput,
  type CommandName,
  commandNameOf,
  COMMANDS,
  type UnknownCommand,
} from './commands.js';

const TYPE_TAG = 0x08;

/** Where a `BaseCommand` keeps what, found without decoding it. */
export interface CommandRange {
  /** The command's type number. */
  readonly type: number;
  /** First byte of the command's own message. */
  readonly start: number;
  /** Behind its last byte. */
  readonly end: number;
  /** Behind the whole `BaseCommand`; in a payload frame the payload begins here. */
  readonly commandEnd: number;
}

/**
 * Encodes a command without payload as a whole frame.
 *
 * @throws {@link UnencodableValueError} when a required field is missing or a number is outside its range.
 * @example
 * ```ts
 * socket.write(encodeCommand('connect', { clientVersion: 'my-client', protocolVersion: 21 }));
 * ```
 */
export function encodeCommand<N extends CommandName>(name: N, fields: CommandInput<N>): Buffer {
  const writer = new ByteWriter();
  writeCommand(writer, name, fields);
  return writer.take();
}

/** Appends a command without payload as a whole frame to what `writer` holds: many commands, one write to the socket. */
export function writeCommand<N extends CommandName>(writer: ByteWriter, name: N, fields: CommandInput<N>): void {
  const start = beginFrame(writer);
  writeBaseCommand(writer, name, fields);
  endSimpleFrame(writer, start);
}

/** Appends the `BaseCommand` alone. */
export function writeBaseCommand<N extends CommandName>(writer: ByteWriter, name: N, fields: CommandInput<N>): void {
  const { type, table } = COMMANDS[name];
  writer.varint(TYPE_TAG);
  writer.varint(type);
  writer.varint(type * 8 + WIRE_BYTES);
  const mark = writer.beginLength();
  writeMessage<Fields>(writer, table, fields);
  writer.endLength(mark);
}

/** Leaves room for the two sizes of a frame; {@link endSimpleFrame} fills them in. */
export function beginFrame(writer: ByteWriter): number {
  const start = writer.position;
  writer.reserve(8);
  writer.position = start + 8;
  return start;
}

/** Fills in the sizes of a frame that holds a command and nothing else. */
export function endSimpleFrame(writer: ByteWriter, start: number): void {
  const commandBytes = writer.position - start - 8;
  writer.patch32(start, commandBytes + 4);
  writer.patch32(start + 4, commandBytes);
}

/**
 * Finds the command in a frame.
 *
 * @param start first byte behind the frame's own size, as {@link FrameReader} hands it out.
 * @throws {@link MalformedFrameError}
 */
export function findCommand(bytes: Buffer, start: number, end: number): CommandRange {
  const reader = new ByteReader(bytes, start, end);
  const size = reader.fixed32();
  if (size > end - reader.position) {
    throw new MalformedFrameError(`a command of ${size} bytes in a frame of ${end - start}`);
  }
  const commandEnd = reader.position + size;
  reader.end = commandEnd;
  // Brokers and clients write the type first; another order is legal and costs a second pass.
  const type = readType(reader);
  const field = type * 8 + WIRE_BYTES;
  while (reader.position < commandEnd) {
    const tag = reader.u32();
    if (tag === field) {
      const length = reader.length();
      return { type, start: reader.position, end: reader.position + length, commandEnd };
    }
    reader.skip(tag & 7);
  }
  return { type, start: commandEnd, end: commandEnd, commandEnd };
}

function readType(reader: ByteReader): number {
  const start = reader.position;
  while (reader.position < reader.end) {
    const tag = reader.u32();
    if (tag === TYPE_TAG) {
      const type = reader.u32();
      reader.position = start;
      return type;
    }
    reader.skip(tag & 7);
  }
  throw new MalformedFrameError('a command without a type');
}

/**
 * Decodes a command by its table. Commands that we do not know are answered as such: ignore them.
 *
 * @throws {@link MalformedFrameError}
 */
export function decodeCommand(bytes: Buffer, start: number, end: number): Command | UnknownCommand {
  return decodeCommandAt(bytes, findCommand(bytes, start, end));
}

/** As {@link decodeCommand}, for a command that was found already. */
export function decodeCommandAt(bytes: Buffer, range: CommandRange): Command | UnknownCommand {
  const name = commandNameOf(range.type);
  if (name === undefined) {
    return { name: 'unknown', type: range.type };
  }
  const table: MessageTable = COMMANDS[name].table;
  const fields = readMessage(new ByteReader(bytes, range.start, range.end), table);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- name and fields come from one entry of COMMANDS; the compiler cannot follow that
  return { name, fields } as Command;
}
