import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LifeOutcome, tellHistory } from './outside-copy.history.js';

const HISTORIES = 40;

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

async function tell(outside: boolean): Promise<readonly (LifeOutcome & { readonly seed: number })[]> {
  const lives: (LifeOutcome & { readonly seed: number })[] = [];
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const folder = mkdtempSync(join(tmpdir(), 'smartpulse-outside-'));
    try {
      lives.push(...(await tellHistory({ seed, folder, outside })).map((life) => ({ ...life, seed })));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  return lives;
}

const wrong = (lives: readonly (LifeOutcome & { readonly seed: number })[]): readonly number[] =>
  lives.filter(({ reader, table }) => JSON.stringify(reader) !== JSON.stringify(table)).map(({ seed }) => seed);

describe('a database file that is put back from backups', () => {
  it(`leaves no reader with what was lost, and begins an epoch then and only then, in ${HISTORIES} histories`, async () => {
    const lives = await tell(true);
    expect(wrong(lives)).toEqual([]);
    expect(lives.filter(({ restored, epochRose }) => restored !== epochRose).map(({ seed }) => seed)).toEqual([]);
    expect(lives.filter(({ restored }) => restored).length).toBeGreaterThan(HISTORIES);
  });

  it('leaves readers with it where positions are in the file alone: the histories are hard enough', async () => {
    expect(new Set(wrong(await tell(false))).size).toBeGreaterThan(HISTORIES / 4);
  });
});
