import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../protocol/bytes/byte-writer.js';
import { readMessageMetadata } from '../protocol/metadata/metadata-codec.js';
import {
  MESSAGE_METADATA,
  type MessageMetadata,
  SINGLE_MESSAGE_METADATA,
} from '../protocol/metadata/metadata.tables.js';
import { writeMessage } from '../protocol/table/table-codec.js';
import { EntryReader } from './entry-reader.js';
import type { HandedOutId } from './handed-out-id.js';

describe('the book of open batches', () => {
  const SIZE = 2;

  function batchOf(texts: readonly string[]): Buffer {
    const writer = new ByteWriter(256);
    for (const text of texts) {
      const metadata = new ByteWriter(32);
      writeMessage(metadata, SINGLE_MESSAGE_METADATA, { payloadSize: text.length });
      writer.fixed32(metadata.position);
      writer.raw(metadata.take());
      writer.raw(Buffer.from(text));
    }
    return writer.take();
  }

  function metadataOf(): MessageMetadata {
    const writer = new ByteWriter(64);
    writeMessage(writer, MESSAGE_METADATA, {
      producerName: 'p',
      sequenceId: 0n,
      publishTimeMs: 0,
      numMessagesInBatch: SIZE,
    });
    const bytes = writer.take();
    return readMessageMetadata(bytes, 0, bytes.length);
  }

  const entry = { metadata: metadataOf(), brokerEntry: undefined, payload: batchOf(['a', 'b']) };

  function read(reader: EntryReader, entryId: number): readonly HandedOutId[] {
    const header = {
      consumerId: 1,
      ledgerId: 7n,
      entryId: BigInt(entryId),
      partition: -1,
      redeliveryCount: 0,
      ackSet: undefined,
      consumerEpoch: undefined,
    };
    return reader.read(header, entry, 1_000, undefined).messages.map(({ id }) => id);
  }

  const readerOf = (): EntryReader => new EntryReader({ topic: 't', partition: -1, payloads: 'view' });

  it('forgets a batch that is given back whole, for another consumer may get it', () => {
    const reader = readerOf();
    for (let index = 0; index < 100; index++) {
      const ids = read(reader, index);
      expect(reader.giveBack(ids)).toHaveLength(1);
    }

    expect(reader.openBatches).toBe(0);
    expect(read(reader, 0)).toHaveLength(SIZE);
  });

  it('keeps a batch while the application holds one of its messages', () => {
    const reader = readerOf();
    const [first] = read(reader, 0);
    reader.giveBack([first!]);

    expect(reader.openBatches).toBe(1);
    expect(read(reader, 0).map(({ batchIndex }) => batchIndex)).toEqual([0]);
  });

  it('remembers what was acknowledged of a bounded number of batches that were given back', () => {
    const reader = readerOf();
    for (let index = 0; index < 3_000; index++) {
      const [first, second] = read(reader, index);
      first!.batch?.acknowledge(0);
      reader.giveBack([second!]);
    }

    expect(reader.openBatches).toBe(1_000);
    expect(read(reader, 2_999).map(({ batchIndex }) => batchIndex)).toEqual([1]);
    expect(read(reader, 0)).toHaveLength(SIZE);
  });
});
