import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { DIVISION, type Kind, OTHER_SEEDS, seedsOf } from './division.js';

const histories = (...kinds: readonly Kind[]) => kinds.reduce((sum, kind) => sum + DIVISION[kind].histories, 0);

const ENGINE = histories('engine, database', 'engine, clock');
const WIRE = histories('wire, database', 'wire, clock');

describe('The division of the histories', () => {
  it('plays at least 5,000 on the engine of SQL Server and over its wire', () => {
    expect(ENGINE + WIRE).toBeGreaterThanOrEqual(5_000);
  });

  it.each(Object.keys(DIVISION).filter((kind): kind is Kind => kind in DIVISION))(
    'leaves out no seed and plays none twice: %s',
    (kind) => {
      const played = Array.from({ length: DIVISION[kind].files }, (_, index) => seedsOf({ kind, file: index + 1 }));
      const all = played.flat();
      expect(new Set(all).size).toBe(all.length);
      expect(OTHER_SEEDS || all.length === DIVISION[kind].histories).toBe(true);
    },
  );

  it('is told as it is in the README', async () => {
    const told = (count: number) => count.toLocaleString('en-US');
    const readme = await readFile('libs/cdc/README.md', 'utf8');
    expect(readme).toContain(
      `${told(ENGINE)} on SQL Server's test engine, ${told(WIRE)} over its wire, ${told(histories('in memory'))} on the in-memory and ${told(histories('embedded'))} on the embedded source`,
    );
    expect(readme).toContain(`all but the ${told(ENGINE)} on the engine without packets`);
  });
});
