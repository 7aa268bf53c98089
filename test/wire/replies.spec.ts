import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SqlReply } from '../support/sql-server/seam.js';
import { PacketStream } from '../support/sql-server/wire/packets/packet-stream.js';
import { type ReplyShape, ReplyWriter } from '../support/sql-server/wire/tokens/reply-writer.js';
import { column, message } from './scripted-engine.js';

const MORE = 0x01;
const ERROR = 0x02;
const COUNT = 0x10;

describe('a reply on the wire', () => {
  it('is the one of the protocol specification, section 4.7, but for the flags of its column', async () => {
    const bytes = await written('batch', column({ name: 'varchar', length: 3, nullable: false }, ['foo'], 'bar'));
    bytes.writeUInt16LE(0x20, 15);
    expect(bytes).toEqual(
      hex(
        '04 01 00 33 00 00 01 00 81 01 00 00 00 00 00 20 00 A7 03 00 09 04 D0 00 34 03 62 00 61 00 72 00',
        'D1 03 00 66 6F 6F FD 10 00 C1 00 01 00 00 00 00 00 00 00',
      ),
    );
  });

  it('of a call ends as in section 4.9: the statement, its status, the procedure', async () => {
    const bytes = await written('call', column({ name: 'int', nullable: false }, [1n]));
    expect(bytes.subarray(-31)).toEqual(
      hex('FF 11 00 C1 00 01 00 00 00 00 00 00 00 79 00 00 00 00 FE 00 00 E0 00 00 00 00 00 00 00 00 00'),
    );
  });

  it('says with every end of a statement but the last that more follows, and where an error was', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(reply, { maxLength: 12 }), async (replies) => {
        const tokens = tokensOf(await written('batch', replies));
        const ends = tokens.filter(({ name }) => name === 'done');
        expect(tokens.at(-1)?.name).toBe('done');
        expect(ends.map(({ status }) => status & MORE)).toEqual(
          ends.map((_, index) => (index === ends.length - 1 ? 0 : MORE)),
        );
        expect(ends.map(({ status }) => status & COUNT)).toEqual([
          ...counted(replies),
          ...(ends.length > statements(replies) ? [0] : []),
        ]);
        expectErrorsMarked(tokens, 'done');
      }),
    );
  });

  it('of a call promises more after every statement, then gives status and end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(reply, { maxLength: 12 }), async (replies) => {
        const tokens = tokensOf(await written('call', replies));
        const ends = tokens.filter(({ name }) => name === 'doneInProc');
        expect(ends.every(({ status }) => (status & MORE) !== 0)).toBe(true);
        expect(ends.map(({ status }) => status & COUNT)).toEqual(counted(replies));
        expect(tokens.slice(-2).map(({ name }) => name)).toEqual(['returnStatus', 'doneProc']);
        expect((tokens.at(-1)?.status ?? 0) & MORE).toBe(0);
      }),
    );
  });

  it('uses a bitmap for nulls where that is shorter', async () => {
    const columns = Array.from({ length: 9 }, (_, index) => ({
      name: `c${index}`,
      type: { name: 'int', nullable: true } as const,
    }));
    const row = async (nulls: number): Promise<Buffer> => {
      const values = columns.map((_, index) => (index < nulls ? null : 1n));
      const all = await written('batch', [
        { kind: 'columns', columns },
        { kind: 'row', values },
      ]);
      const head = await written('batch', [{ kind: 'columns', columns }]);
      return all.subarray(head.length - 13, -13);
    };
    const plain = await row(2);
    expect([plain[0], plain.length]).toEqual([0xd1, 1 + 2 * 1 + 7 * 5]);
    const bitmap = await row(3);
    expect([...bitmap.subarray(0, 3), bitmap.length]).toEqual([0xd2, 0b111, 0, 3 + 6 * 5]);
    expect([...(await row(9))]).toEqual([0xd2, 0xff, 1]);
  });
});

const reply: fc.Arbitrary<SqlReply> = fc.oneof(
  fc.record({ kind: fc.constant('done' as const), rows: fc.option(fc.nat(1_000), { nil: undefined }) }),
  fc.constant<SqlReply>({ kind: 'info', message: message(1, 'so', { class: 0 }) }),
  fc.constant<SqlReply>({ kind: 'error', message: message(2, 'no') }),
  fc.constant<SqlReply>({ kind: 'database', name: 'b', previous: 'a' }),
  fc.constant<SqlReply>({ kind: 'transaction', event: 'begun', descriptor: 1n }),
);

interface Token {
  readonly name: 'done' | 'doneProc' | 'doneInProc' | 'returnStatus' | 'error' | 'other';
  readonly status: number;
}

/** Tokens of a message without results. */
function tokensOf(packet: Buffer): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = 8; at < packet.length;) {
    const code = packet.readUInt8(at);
    switch (code) {
      case 0xfd:
      case 0xfe:
      case 0xff: {
        const name = code === 0xfd ? 'done' : code === 0xfe ? 'doneProc' : 'doneInProc';
        tokens.push({ name, status: packet.readUInt16LE(at + 1) });
        at += 13;
        break;
      }
      case 0x79:
        tokens.push({ name: 'returnStatus', status: 0 });
        at += 5;
        break;
      default:
        tokens.push({ name: code === 0xaa ? 'error' : 'other', status: 0 });
        at += 3 + packet.readUInt16LE(at + 1);
    }
  }
  return tokens;
}

function expectErrorsMarked(tokens: readonly Token[], end: Token['name']): void {
  let failed = false;
  for (const { name, status } of tokens) {
    failed ||= name === 'error';
    if (name === end) {
      expect((status & ERROR) !== 0).toBe(failed);
      failed = false;
    }
  }
}

function statements(replies: readonly SqlReply[]): number {
  return replies.filter(({ kind }) => kind === 'done').length;
}

function counted(replies: readonly SqlReply[]): readonly number[] {
  return replies.flatMap((each) => (each.kind === 'done' ? [each.rows === undefined ? 0 : COUNT] : []));
}

/** The one packet that the replies become. */
async function written(shape: ReplyShape, replies: readonly SqlReply[]): Promise<Buffer> {
  const packets: Buffer[] = [];
  const sink = {
    write: (bytes: Buffer): Promise<void> => {
      packets.push(bytes);
      return Promise.resolve();
    },
  };
  const writer = new ReplyWriter(new PacketStream(sink, 0x04, 4_096, 0), shape, 'S');
  for (const each of replies) {
    await writer.write(each);
  }
  await writer.finish();
  return Buffer.concat(packets);
}

function hex(...lines: readonly string[]): Buffer {
  return Buffer.from(lines.join('').replaceAll(' ', ''), 'hex');
}
