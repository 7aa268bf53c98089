import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MalformedFrameError, UnencodableValueError } from '../../pulsar-wire.errors.js';
import { ByteWriter } from '../bytes/byte-writer.js';
import {
  decodeMessageHeader,
  decodeSendReceipt,
  writeAck,
  writeFlow,
  writePing,
  writePong,
} from '../frame/hot-commands.js';
import type { Field, MessageTable, Presence } from '../table/message-table.js';
import { MAX_LIST_ELEMENTS } from '../table/table-codec.js';
import { decodeCommand, encodeCommand, findCommand } from './command-codec.js';
import { type Command, type CommandInput, type CommandName, COMMANDS } from './commands.js';

const i53 = fc.maxSafeInteger();
const i64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const text = fc.string({ unit: 'grapheme', maxLength: 70 });

function valueOf(field: Field<unknown, Presence>): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case 'u32':
      return fc.integer({ min: 0, max: 0xffff_ffff });
    case 'i32':
      return fc.integer();
    case 'i53':
      return i53;
    case 'i64':
      return i64;
    case 'bool':
      return fc.boolean();
    case 'double':
      return fc.double({ noNaN: true });
    case 'string':
      return text;
    case 'bytes':
      return fc.uint8Array({ maxLength: 300 });
    case 'message':
      return field.table === undefined ? fc.constant(undefined) : fieldsOf(field.table);
    case 'properties':
      return fc.dictionary(text, text, { maxKeys: 4 });
    case 'bits':
    default:
      return fc
        .array(fc.tuple(fc.integer(), fc.integer()), { maxLength: 3 })
        .map((words) => Int32Array.from(words.flat()));
  }
}

/** Any fields that a table allows: what is optional is sometimes absent. */
function fieldsOf(table: MessageTable): fc.Arbitrary<object> {
  const arbitraries = Object.fromEntries(
    table.entries.map(([name, field]) => {
      const one = valueOf(field);
      const list = field.presence === 'repeated' && field.kind !== 'properties' && field.kind !== 'bits';
      return [
        name,
        list
          ? fc.array(one, { maxLength: 3 })
          : field.presence === 'optional'
            ? fc.option(one, { nil: undefined })
            : one,
      ];
    }),
  );
  return fc.record(arbitraries);
}

const names = Object.keys(COMMANDS) as CommandName[];
const encode = (name: CommandName, fields: object): Buffer => encodeCommand(name, fields as CommandInput<CommandName>);

describe('the command codec', () => {
  it('knows every command of the protocol once', () => {
    expect(names).toHaveLength(58);
    expect(new Set(names.map((name) => COMMANDS[name].type)).size).toBe(58);
  });

  it.each(names)('reads back every %s that it writes', (name) => {
    fc.assert(
      fc.property(fieldsOf(COMMANDS[name].table), (fields) => {
        const bytes = encode(name, fields);
        expect(bytes.readUInt32BE(0)).toBe(bytes.length - 4);
        expect(decodeCommand(bytes, 4, bytes.length)).toEqual({ name, fields });
      }),
      { numRuns: 60 },
    );
  });

  it('throws a typed error, and nothing else, wherever a frame is cut off or changed', () => {
    const any = fc
      .constantFrom(...names)
      .chain((name) => fieldsOf(COMMANDS[name].table).map((fields) => encode(name, fields)));
    fc.assert(
      fc.property(any, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat(), (bytes, changes, cut) => {
        const damaged = Buffer.from(bytes.subarray(0, 4 + (cut % (bytes.length - 3))));
        for (const [at, value] of changes) {
          damaged[at % damaged.length] = value;
        }
        expectTyped(() => decodeCommand(damaged, 4, damaged.length));
      }),
      { numRuns: 2_000 },
    );
  });

  it('throws a typed error, and nothing else, on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(...names), (noise, name) => {
        const { type } = COMMANDS[name];
        const body = Buffer.from([8, type, ...varint(type * 8 + 2), ...varint(noise.length), ...noise]);
        const bytes = Buffer.alloc(4 + body.length);
        bytes.writeUInt32BE(body.length);
        bytes.set(body, 4);
        expectTyped(() => decodeCommand(bytes, 0, bytes.length));
        expectTyped(() => decodeCommand(Buffer.from(noise), 0, noise.length));
        const range = { start: bytes.length - noise.length, end: bytes.length };
        expectTyped(() => decodeSendReceipt(bytes, range.start, range.end));
        expectTyped(() => decodeMessageHeader(bytes, range.start, range.end));
      }),
      { numRuns: 2_000 },
    );
  });

  it('skips fields that it does not know, whatever their wire type, and names commands that it does not know', () => {
    const pong = encodeCommand('pong', {});
    const success = commandFrame(
      13,
      [0x08, 5, 0xf8, 0x06, 7, 0xf9, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, 0xfa, 0x06, 1, 9, 0xfd, 0x06, 1, 2, 3, 4],
    );
    expect(decodeCommand(success, 4, success.length)).toMatchObject({ name: 'success', fields: { requestId: 5 } });
    const future = commandFrame(99, [1, 2, 3]);
    expect(decodeCommand(future, 4, future.length)).toEqual({ name: 'unknown', type: 99 });
    expect(decodeCommand(pong, 4, pong.length)).toEqual({ name: 'pong', fields: {} });
  });

  it('takes the type and the command in either order', () => {
    const frame = Buffer.from([0, 0, 0, 11, 0, 0, 0, 7, 0x6a, 3, 0x08, 0x85, 0x01, 0x08, 13]);
    expect(decodeCommand(frame, 4, frame.length)).toMatchObject({ name: 'success', fields: { requestId: 133 } });
  });

  it('refuses a command that goes past its frame, that has no type, or lacks what is required', () => {
    const broken = [
      Buffer.from([0, 0, 0, 9, 0x08, 18]),
      Buffer.from([0, 0, 0, 2, 0x92, 0x01]),
      Buffer.from([0, 0, 0, 2, 0x08, 13]),
      Buffer.from([0, 0]),
    ];
    for (const bytes of broken) {
      expect(() => decodeCommand(bytes, 0, bytes.length)).toThrow(MalformedFrameError);
    }
  });

  it('bounds what a small frame can make it allocate', () => {
    const empty = Buffer.alloc((MAX_LIST_ELEMENTS + 1) * 2);
    for (let at = 0; at < empty.length; at += 2) {
      empty[at] = 0x12;
    }
    const frame = commandFrame(33, [0x08, 1, ...empty]);
    expect(() => decodeCommand(frame, 4, frame.length)).toThrow(/list elements/);
  });

  it('lets no field reach beyond the message that it stands in', () => {
    // The nested id ends behind its ledger; the bytes of the entry belong to the command around it.
    for (const id of [[0x08], [0x3a, 4, 0x08, 1]]) {
      const frame = commandFrame(28, [0x08, 1, 0x10, 1, 0x1a, id.length, ...id, 0x20, 5, 0x20, 5, 0x20, 5]);
      expect(() => decodeCommand(frame, 4, frame.length)).toThrow(/goes past the end/);
    }
  });

  it('does not follow a message id that nests itself', () => {
    let nested: number[] = [0x08, 1, 0x10, 1];
    for (let depth = 0; depth < 2_000; depth++) {
      nested = [0x08, 1, 0x10, 1, 0x3a, ...varint(nested.length), ...nested];
    }
    const frame = commandFrame(28, [0x08, 1, 0x10, 1, 0x1a, ...varint(nested.length), ...nested]);
    expect(decodeCommand(frame, 4, frame.length)).toMatchObject({
      fields: { messageId: { firstChunkMessageId: { ledgerId: 1n } } },
    });
  });

  it('refuses values that have no bytes', () => {
    expect(() => encodeCommand('flow', { consumerId: 1, messagePermits: -1 })).toThrow(UnencodableValueError);
    expect(() => encodeCommand('flow', { consumerId: 1.5, messagePermits: 1 })).toThrow(UnencodableValueError);
    expect(() => encodeCommand('flow', { consumerId: 1, messagePermits: 2 ** 32 })).toThrow(UnencodableValueError);
    expect(() => encodeCommand('flow', { consumerId: Number.NaN, messagePermits: 1 })).toThrow(UnencodableValueError);
    expect(() => encode('success', {})).toThrow(/requestId is required/);
    expect(() => writeFlow(new ByteWriter(), -1, 1)).toThrow(UnencodableValueError);
  });
});

describe('the commands written by hand', () => {
  it('write FLOW, PING and PONG as their tables do', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 0x7fff_ffff }), (consumerId, permits) => {
        const writer = new ByteWriter(1);
        writeFlow(writer, consumerId, permits);
        expect(writer.take()).toEqual(encodeCommand('flow', { consumerId, messagePermits: permits }));
      }),
    );
    const writer = new ByteWriter(1);
    writePing(writer);
    writePong(writer);
    expect(writer.take()).toEqual(Buffer.concat([encodeCommand('ping', {}), encodeCommand('pong', {})]));
  });

  it('write ACK as its table does', () => {
    const position = fc.record({
      ledgerId: i64,
      entryId: i64,
      ackSet: fc.option(
        fc.array(fc.integer(), { maxLength: 6 }).map((halves) => Int32Array.from([...halves, ...halves])),
        { nil: undefined },
      ),
      batchSize: fc.option(fc.nat(), { nil: undefined }),
    });
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.array(position, { maxLength: 20 }),
        fc.option(fc.maxSafeNat(), { nil: undefined }),
        (consumerId, positions, requestId) => {
          const writer = new ByteWriter(1);
          writeAck(writer, { consumerId, ackType: 1, positions, validationError: 2, requestId });
          expect(writer.take()).toEqual(
            encodeCommand('ack', {
              consumerId,
              ackType: 1,
              messageIds: positions.map((one) => ({ ...one, ackSet: one.ackSet ?? new Int32Array(0) })),
              validationError: 2,
              requestId,
            }),
          );
        },
      ),
    );
  });

  it('read SEND_RECEIPT and MESSAGE as their tables do', () => {
    fc.assert(
      fc.property(fieldsOf(COMMANDS.message.table), fieldsOf(COMMANDS.sendReceipt.table), (message, receipt) => {
        const messageBytes = encode('message', { ...message, consumerId: 3 });
        const at = findCommand(messageBytes, 4, messageBytes.length);
        const command = decodeCommand(messageBytes, 4, messageBytes.length);
        const header = decodeMessageHeader(messageBytes, at.start, at.end);
        const { fields } = command as Extract<Command, { name: 'message' }>;
        expect(header).toEqual({
          consumerId: 3,
          ledgerId: fields.messageId.ledgerId,
          entryId: fields.messageId.entryId,
          partition: fields.messageId.partition ?? -1,
          redeliveryCount: fields.redeliveryCount ?? 0,
          ackSet: fields.ackSet.length === 0 ? undefined : fields.ackSet,
          consumerEpoch: fields.consumerEpoch,
        });
        const receiptBytes = encode('sendReceipt', { ...receipt, producerId: 4 });
        const found = findCommand(receiptBytes, 4, receiptBytes.length);
        expect(decodeCommand(receiptBytes, 4, receiptBytes.length)).toMatchObject({
          name: 'sendReceipt',
          fields: { sequenceId: decodeSendReceipt(receiptBytes, found.start, found.end).sequenceId },
        });
      }),
    );
  });
});

function expectTyped(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!MalformedFrameError.is(error)) {
      throw error;
    }
  }
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) {
    bytes.push((rest & 0x7f) | 0x80);
  }
  return [...bytes, rest];
}

function commandFrame(type: number, fields: readonly number[]): Buffer {
  const head = [8, type, ...varint(type * 8 + 2), ...varint(fields.length)];
  const frame = Buffer.alloc(8 + head.length + fields.length);
  frame.writeUInt32BE(frame.length - 4, 0);
  frame.writeUInt32BE(frame.length - 8, 4);
  frame.set(head, 8);
  frame.set(fields, 8 + head.length);
  return frame;
}
