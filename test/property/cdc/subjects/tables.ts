import type { PrimaryKey } from '@smartpulse/cdc';
import type { Random } from '@smartpulse/resilience';

/** So many keys a table has: few, so that writers meet. */
export const KEYS = 12;

/** A table that histories follow; besides its key it has a column `value`. Keys are numbers here, in the order of the primary key. */
export interface HistoryTable {
  /** `schema.name`. */
  readonly name: string;
  readonly primaryKey: readonly string[];
  /** Columns of the key that are text; the others are whole numbers. */
  readonly texts: readonly string[];
  /** The last column of the key counts from 0 to below this. */
  readonly span: number;
  readonly keyOf: (row: PrimaryKey) => number;
  readonly primaryKeyOf: (key: number) => Readonly<Record<string, string | number>>;
}

const byId = (name: string): HistoryTable => ({
  name,
  primaryKey: ['id'],
  texts: [],
  span: KEYS,
  keyOf: ({ id }) => Number(id),
  primaryKeyOf: (key) => ({ id: key }),
});

const MARKETS = 'ABC';
const UNITS = KEYS / MARKETS.length;

const byMarketAndUnit = (name: string): HistoryTable => ({
  name,
  primaryKey: ['market', 'unit'],
  texts: ['market'],
  span: UNITS,
  keyOf: ({ market, unit }) => MARKETS.indexOf(String(market)) * UNITS + Number(unit),
  primaryKeyOf: (key) => ({ market: MARKETS.charAt(Math.floor(key / UNITS)), unit: key % UNITS }),
});

const TABLES: readonly HistoryTable[] = [byId('dbo.stock'), byMarketAndUnit('dbo.price'), byId('dbo.plant')];

/** The tables of one history: mostly one, often two, at times three, and whichever comes first. */
export function someTables(random: Random): readonly HistoryTable[] {
  const draw = random.next();
  const count = draw < 0.7 ? 1 : draw < 0.9 ? 2 : 3;
  const first = random.int(TABLES.length);
  return [...TABLES.slice(first), ...TABLES.slice(0, first)].slice(0, count);
}

export function oneOf(tables: readonly HistoryTable[], random: Random): HistoryTable {
  const table = tables.length === 1 ? tables[0] : tables[random.int(tables.length)];
  if (table === undefined) {
    throw new RangeError('A history follows at least one table.');
  }
  return table;
}
