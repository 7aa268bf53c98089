import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SqlServerErrorClass } from '../errors/error-classes.js';
import { SqlServerStatementError } from '../sql-server.errors.js';
import { SeekHints } from './seek-hints.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

const TABLE = 'dbo.stock';
const failed = (errorClass: SqlServerErrorClass, number: number | null = null) =>
  new SqlServerStatementError('shop', 'readChanges', { class: errorClass, number, code: null, message: null }, null);
const timeout = failed('timeout');

/** Reads pages; `slow` says which take too long. Answers how each was sent: s = seek, n = no hint, and ! = took too long. */
async function read(
  hints: SeekHints,
  pages: number,
  slow: (forceSeek: boolean, page: number) => boolean,
): Promise<string> {
  const sent: string[] = [];
  for (let page = 0; page < pages; page++) {
    const work = async (forceSeek: boolean): Promise<void> => {
      sent.push(`${forceSeek ? 's' : 'n'}${slow(forceSeek, page) ? '!' : ''}`);
      if (slow(forceSeek, page)) {
        throw timeout;
      }
    };
    await hints.read(TABLE, work).catch((error: unknown) => expect(error).toBe(timeout));
  }
  return sent.join('').replace(/([sn])\1{2,}/g, (run, letter) => `${letter}${run.length}`);
}

describe('the hint to seek', () => {
  it('is there after a page that took too long, and goes when eight came in time', async () => {
    const hints = new SeekHints('auto');
    expect(await read(hints, 40, (_, page) => page === 3)).toBe('n4!s8n28');
  });

  it('stays twice as long after each relapse, and begins anew when all went well without', async () => {
    const hints = new SeekHints('auto');
    expect(await read(hints, 9 + 17 + 33, (forceSeek) => !forceSeek)).toBe('n!s8n!s16n!s32');
    expect(await read(hints, 64, () => false)).toBe('n64');
    expect(await read(hints, 10, (forceSeek) => !forceSeek)).toBe('n!s8n!');
  });

  it('is tried and left out by turns where nothing helps', async () => {
    expect(await read(new SeekHints('auto'), 5, () => true)).toBe('n!s!n!s!n!');
  });

  it('is of one table alone', async () => {
    const hints = new SeekHints('auto');
    await expect(hints.read(TABLE, () => Promise.reject(timeout))).rejects.toBe(timeout);
    expect(await hints.read('dbo.other', async (forceSeek) => forceSeek)).toBe(false);
    expect(await hints.read(TABLE, async (forceSeek) => forceSeek)).toBe(true);
  });

  it.each([
    ['a server that is too old for it', failed('defect', 102)],
    ['a server that finds no plan with it', failed('unrecognised', 8622)],
  ])('costs no page on %s, and is never tried again', async (_, refusal) => {
    const hints = new SeekHints('auto');
    const sent: boolean[] = [];
    const page = async (forceSeek: boolean): Promise<string> => {
      sent.push(forceSeek);
      if (forceSeek) {
        throw refusal;
      }
      return 'page';
    };
    for (let times = 0; times < 2; times++) {
      await expect(hints.read(TABLE, () => Promise.reject(timeout))).rejects.toBe(timeout);
      expect(await hints.read(TABLE, page)).toBe('page');
    }
    expect(sent).toEqual([true, false, false]);
  });

  it('takes no failure for a refusal that is there without the hint, too', async () => {
    const hints = new SeekHints('auto');
    await expect(hints.read(TABLE, () => Promise.reject(timeout))).rejects.toBe(timeout);
    const broken = failed('defect', 207);
    await expect(hints.read(TABLE, () => Promise.reject(broken))).rejects.toBe(broken);
    expect(await hints.read(TABLE, async (forceSeek) => forceSeek)).toBe(true);
  });

  it('stays where a page fails with an error that no table knows: it says nothing of the hint, and nothing is sent twice', async () => {
    const hints = new SeekHints('auto');
    await expect(hints.read(TABLE, () => Promise.reject(timeout))).rejects.toBe(timeout);
    const unknown = failed('unrecognised', 4711);
    const sent: boolean[] = [];
    const page = async (forceSeek: boolean): Promise<void> => {
      sent.push(forceSeek);
      if (sent.length === 1) {
        throw unknown;
      }
    };
    await expect(hints.read(TABLE, page)).rejects.toBe(unknown);
    await hints.read(TABLE, page);
    expect(sent).toEqual([true, true]);
  });

  it.each([true, false])('is as the option says, whatever takes too long: %s', async (option) => {
    expect(await read(new SeekHints(option), 4, () => true)).toBe((option ? 's!' : 'n!').repeat(4));
  });
});
