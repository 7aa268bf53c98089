import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WireFormatError } from '../support/sql-server/wire/bytes/byte-reader.js';
import { PacketAssembler } from '../support/sql-server/wire/packets/packet-assembler.js';
import { PacketStream } from '../support/sql-server/wire/packets/packet-stream.js';
import { type ClientMessage, HEADER_BYTES } from '../support/sql-server/wire/packets/packet.js';

const message = fc.record({
  type: fc.constantFrom(0x01, 0x03, 0x0e),
  parts: fc.array(fc.uint8Array({ maxLength: 700 }), { minLength: 1, maxLength: 6 }),
});
const packetSize = fc.integer({ min: 512, max: 1_200 });

describe('packets', () => {
  it('carry every message whole, however it is cut into packets and however the packets are cut on the way', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: 1, maxLength: 4 }),
        packetSize,
        fc.infiniteStream(fc.integer({ min: 1, max: 900 })),
        async (messages, size, cuts) => {
          const sent = await packetsOf(messages, size);
          const received = receive(Buffer.concat(sent), () => cuts.next().value ?? 1);
          expect(received.map(({ type, payload }) => [type, payload.toString('hex')])).toEqual(
            messages.map(({ type, parts }) => [type, Buffer.concat(parts).toString('hex')]),
          );
        },
      ),
    );
  });

  it('are whole when every byte comes alone', async () => {
    const parts = [Buffer.from('select 1', 'utf16le'), Buffer.alloc(1_000, 7)];
    const sent = await packetsOf([{ type: 0x01, parts }], 512);
    const [received] = receive(Buffer.concat(sent), () => 1);
    expect(received?.payload).toEqual(Buffer.concat(parts));
  });

  it('keep to the negotiated size, are numbered, and end with the last only', async () => {
    await fc.assert(
      fc.asyncProperty(message, packetSize, async (only, size) => {
        const packets = split(Buffer.concat(await packetsOf([only], size)));
        expect(packets.every(({ length }) => length <= size)).toBe(true);
        expect(packets.slice(0, -1).every(({ length }) => length === size)).toBe(true);
        expect(packets.map(({ number }) => number)).toEqual(packets.map((_, index) => index + 1));
        expect(packets.map(({ last }) => last)).toEqual(packets.map((_, index) => index === packets.length - 1));
      }),
    );
  });

  it('end with a full one when the message fits exactly', async () => {
    for (const [bytes, count] of [
      [504, 1],
      [505, 2],
      [1_008, 2],
      [0, 1],
    ] as const) {
      const packets = split(Buffer.concat(await packetsOf([{ type: 0x04, parts: [Buffer.alloc(bytes)] }], 512)));
      expect(packets).toHaveLength(count);
    }
  });

  it('are refused when a header is shorter than itself', () => {
    expect(() => receive(Buffer.from([1, 1, 0, 7, 0, 0, 0, 0]), () => 8)).toThrow(WireFormatError);
  });
});

async function packetsOf(
  messages: readonly { readonly type: number; readonly parts: readonly Uint8Array[] }[],
  size: number,
): Promise<readonly Buffer[]> {
  const sent: Buffer[] = [];
  for (const { type, parts } of messages) {
    const sink = {
      write: (bytes: Buffer): Promise<void> => {
        sent.push(bytes);
        return Promise.resolve();
      },
    };
    const stream = new PacketStream(sink, type, size, 51);
    for (const part of parts) {
      await stream.append(Buffer.from(part));
    }
    await stream.end();
  }
  return sent;
}

function receive(bytes: Buffer, nextCut: () => number): readonly ClientMessage[] {
  const assembler = new PacketAssembler();
  const messages: ClientMessage[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = Math.min(bytes.length, start + nextCut());
    messages.push(...assembler.push(bytes.subarray(start, end)));
    start = end;
  }
  return messages;
}

function split(bytes: Buffer): readonly { length: number; number: number; last: boolean }[] {
  const packets: { length: number; number: number; last: boolean }[] = [];
  for (let start = 0; start < bytes.length;) {
    const length = bytes.readUInt16BE(start + 2);
    expect(length).toBeGreaterThanOrEqual(HEADER_BYTES);
    packets.push({ length, number: bytes.readUInt8(start + 6), last: (bytes.readUInt8(start + 1) & 1) === 1 });
    start += length;
  }
  return packets;
}
