import { crc32c } from '../protocol/checksum/crc32c.js';
import { ByteWriter } from '../protocol/bytes/byte-writer.js';
import { beginFrame, findCommand, writeBaseCommand } from '../protocol/command/command-codec.js';
import type { CommandInput } from '../protocol/command/commands.js';
import { BROKER_ENTRY_MAGIC, CHECKSUM_MAGIC } from '../protocol/entry/entry.js';
import { BROKER_ENTRY_METADATA, type BrokerEntryMetadata } from '../protocol/metadata/metadata.tables.js';
import { writeMessage } from '../protocol/table/table-codec.js';

/** What a broker does with an entry that it stored: everything of a SEND frame behind the command and the checksum. */
export interface StoredEntry {
  /** Metadata with its size, then the payload. */
  readonly bytes: Buffer;
}

/** What a broker keeps of a SEND frame (as {@link FrameReader} hands it out), its checksum verified. */
export function storedEntryOf(bytes: Buffer, start: number, end: number): StoredEntry {
  const { commandEnd } = findCommand(bytes, start, end);
  const hasChecksum = bytes.readUInt16BE(commandEnd) === CHECKSUM_MAGIC;
  const entryStart = hasChecksum ? commandEnd + 6 : commandEnd;
  if (hasChecksum && crc32c(bytes, entryStart, end) !== bytes.readUInt32BE(commandEnd + 2)) {
    throw new Error('The checksum of a SEND frame is wrong.');
  }
  return { bytes: Buffer.from(bytes.subarray(entryStart, end)) };
}

/** A MESSAGE frame around a stored entry, as a broker writes it. */
export function messageFrame(
  command: CommandInput<'message'>,
  entry: StoredEntry,
  options: { readonly checksum?: boolean; readonly brokerEntry?: BrokerEntryMetadata } = {},
): Buffer {
  const writer = new ByteWriter(entry.bytes.length + 256);
  const start = beginFrame(writer);
  writeBaseCommand(writer, 'message', command);
  writer.patch32(start + 4, writer.position - start - 8);
  if (options.brokerEntry !== undefined) {
    writer.raw(Buffer.from([BROKER_ENTRY_MAGIC >> 8, BROKER_ENTRY_MAGIC & 0xff]));
    const inner = new ByteWriter(32);
    writeMessage(inner, BROKER_ENTRY_METADATA, options.brokerEntry);
    writer.fixed32(inner.position);
    writer.raw(inner.take());
  }
  if (options.checksum !== false) {
    writer.raw(Buffer.from([CHECKSUM_MAGIC >> 8, CHECKSUM_MAGIC & 0xff]));
    writer.fixed32(crc32c(entry.bytes));
  }
  writer.raw(entry.bytes);
  writer.patch32(start, writer.position - start - 4);
  return writer.take();
}
