import { CorruptEntryError, MalformedFrameError, WireError } from '../../pulsar-wire.errors.js';
import { ByteReader } from '../bytes/byte-reader.js';
import { crc32c } from '../checksum/crc32c.js';
import { decompress } from '../compression/compression.js';
import { readBrokerEntryMetadata, readMessageMetadata } from '../metadata/metadata-codec.js';
import type { BrokerEntryMetadata, MessageMetadata } from '../metadata/metadata.tables.js';

/** Announces metadata that the broker added. */
export const BROKER_ENTRY_MAGIC = 0x0e02;
/** Announces a checksum. */
export const CHECKSUM_MAGIC = 0x0e01;

/** A stored entry: one message, or a batch of them. */
export interface Entry {
  readonly metadata: MessageMetadata;
  /** What the broker added; undefined where it does not. */
  readonly brokerEntry: BrokerEntryMetadata | undefined;
  /** A view on the payload as stored: compressed and encrypted where the metadata says so. */
  readonly payload: Buffer;
}

/**
 * Decodes what stands behind the command in a MESSAGE frame: broker entry metadata, checksum, metadata, payload; either of the first two
 * may be absent. The checksum is verified where there is one.
 *
 * @param start behind the command, `CommandRange.commandEnd`.
 * @param end the end of the frame.
 * @throws {@link CorruptEntryError}: this entry is damaged, the connection is sound.
 */
export function decodeEntry(bytes: Buffer, start: number, end: number): Entry {
  try {
    return readEntry(bytes, start, end);
  } catch (error) {
    throw MalformedFrameError.is(error) ? new CorruptEntryError('size', 'its metadata is malformed', error) : error;
  }
}

function readEntry(bytes: Buffer, start: number, end: number): Entry {
  let position = start;
  let brokerEntry: BrokerEntryMetadata | undefined;
  if (magicAt(bytes, position, end) === BROKER_ENTRY_MAGIC) {
    const reader = new ByteReader(bytes, position + 2, end);
    const size = reader.fixed32();
    position = reader.position + size;
    if (position > end) {
      throw new CorruptEntryError('size', 'its broker metadata goes past the end');
    }
    brokerEntry = readBrokerEntryMetadata(bytes, reader.position, position);
  }
  if (magicAt(bytes, position, end) === CHECKSUM_MAGIC) {
    const announced = new ByteReader(bytes, position + 2, end).fixed32();
    position += 6;
    if (crc32c(bytes, position, end) !== announced) {
      throw new CorruptEntryError('checksum', 'its checksum is wrong');
    }
  }
  const reader = new ByteReader(bytes, position, end);
  const size = reader.fixed32();
  if (size > end - reader.position) {
    throw new CorruptEntryError('size', 'its metadata goes past the end');
  }
  const payloadStart = reader.position + size;
  const metadata = readMessageMetadata(bytes, reader.position, payloadStart);
  return { metadata, brokerEntry, payload: bytes.subarray(payloadStart, end) };
}

function magicAt(bytes: Buffer, at: number, end: number): number {
  return end - at < 2 ? -1 : (bytes[at]! << 8) | bytes[at + 1]!;
}

/**
 * The payload of an entry without its compression. Uncompressed payloads come back as they are, without a copy.
 *
 * @param maxBytes the largest size accepted, whatever the metadata announces.
 * @throws {@link CorruptEntryError} when it does not decompress to the announced size, or is encrypted.
 */
export function payloadOf(entry: Entry, maxBytes: number): Buffer {
  const { metadata, payload } = entry;
  if (metadata.encryptionKeys.length > 0) {
    throw new CorruptEntryError('decryption', 'it is encrypted, which is not supported');
  }
  const { compression = 0, uncompressedSize = 0 } = metadata;
  if (compression === 0) {
    return payload;
  }
  if (uncompressedSize > maxBytes) {
    throw new CorruptEntryError('size', `it announces ${uncompressedSize} bytes; the limit is ${maxBytes}`);
  }
  try {
    return decompress(compression, payload, uncompressedSize);
  } catch (error) {
    throw error instanceof WireError ? new CorruptEntryError('decompression', 'it does not decompress', error) : error;
  }
}
