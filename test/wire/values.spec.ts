import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SqlType, SqlValue } from '../support/sql-server/seam.js';
import { ByteReader } from '../support/sql-server/wire/bytes/byte-reader.js';
import { ByteWriter } from '../support/sql-server/wire/bytes/byte-writer.js';
import { readTypeInfo, writeTypeInfo } from '../support/sql-server/wire/types/type-info.js';
import { readValue, writeValue } from '../support/sql-server/wire/types/values.js';

interface Typed {
  readonly type: SqlType;
  readonly value: SqlValue;
}

const scale = fc.integer({ min: 0, max: 7 });
const whole = (bits: number): fc.Arbitrary<bigint> =>
  fc.bigInt({ min: -(1n << BigInt(bits - 1)), max: (1n << BigInt(bits - 1)) - 1n });
const digits = (count: number): fc.Arbitrary<string> =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: count, maxLength: count }).map((all) => all.join(''));
const day = fc
  .date({ min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-12-30T00:00:00Z'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));
const clock = (fractionDigits: number): fc.Arbitrary<string> =>
  fc
    .tuple(fc.integer({ min: 0, max: 86_399 }), digits(fractionDigits))
    .map(([seconds, fraction]) => `${hms(seconds)}${fractionDigits === 0 ? '' : `.${fraction}`}`);
const offset = fc
  .tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 14 * 60 }))
  .filter(([sign, minutes]) => sign === '+' || minutes > 0)
  .map(([sign, minutes]) => `${sign}${hms(minutes * 60).slice(0, 5)}`);
/** UTF-16 of any kind: SQL Server stores lone surrogates, too. */
const wide = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: 'binary', maxLength: maxLength / 2 });
const narrow = fc.string({ unit: fc.constantFrom('a', 'Z', '0', ' ', '~', 'é', '€', 'ÿ', '™'), maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 60 });

const typed: Readonly<Record<SqlType['name'], fc.Arbitrary<Typed>>> = {
  bit: of({ name: 'bit' }, fc.boolean()),
  tinyint: of({ name: 'tinyint' }, fc.bigInt({ min: 0n, max: 255n })),
  smallint: of({ name: 'smallint' }, whole(16)),
  int: of({ name: 'int' }, whole(32)),
  bigint: of({ name: 'bigint' }, whole(64)),
  real: of({ name: 'real' }, fc.float({ noNaN: true })),
  float: of({ name: 'float' }, fc.double({ noNaN: true })),
  decimal: fc
    .tuple(fc.integer({ min: 1, max: 38 }), fc.integer({ min: 0, max: 38 }), fc.boolean())
    .filter(([precision, decimals]) => decimals <= precision)
    .chain(([precision, decimals, negative]) =>
      digits(precision).map((text) => ({
        type: { name: 'decimal' as const, precision, scale: decimals, nullable: true },
        value: decimalText(text, decimals, negative),
      })),
    ),
  money: of(
    { name: 'money' },
    fc.tuple(digits(14), digits(4), fc.boolean()).map(([a, b, negative]) => decimalText(a + b, 4, negative)),
  ),
  char: of({ name: 'char', length: 40 }, narrow),
  varchar: of({ name: 'varchar', length: 'max' }, narrow),
  nchar: of({ name: 'nchar', length: 60 }, wide(60)),
  nvarchar: fc.oneof(
    of({ name: 'nvarchar', length: 100 }, wide(100)),
    of({ name: 'nvarchar', length: 'max' }, wide(3_000)),
  ),
  binary: of({ name: 'binary', length: 60 }, bytes),
  varbinary: fc.oneof(of({ name: 'varbinary', length: 60 }, bytes), of({ name: 'varbinary', length: 'max' }, bytes)),
  uniqueidentifier: of(
    { name: 'uniqueidentifier' },
    fc.uuid().map((text) => text.toUpperCase()),
  ),
  date: of({ name: 'date' }, day),
  time: scale.chain((count) => of({ name: 'time', scale: count }, clock(count))),
  smalldatetime: of(
    { name: 'smalldatetime' },
    fc
      .tuple(fc.integer({ min: 0, max: 65_535 }), fc.integer({ min: 0, max: 1_439 }))
      .map(([days, minutes]) => `${dayAfter1900(days)} ${hms(minutes * 60)}`),
  ),
  datetime: of(
    { name: 'datetime' },
    fc
      .tuple(day, fc.integer({ min: 0, max: 86_399 }), fc.constantFrom('000', '003', '007', '010', '333', '997'))
      .map(([date, seconds, fraction]) => `${date} ${hms(seconds)}.${fraction}`),
  ),
  datetime2: scale.chain((count) =>
    of(
      { name: 'datetime2', scale: count },
      fc.tuple(day, clock(count)).map(([date, time]) => `${date} ${time}`),
    ),
  ),
  datetimeoffset: scale.chain((count) =>
    of(
      { name: 'datetimeoffset', scale: count },
      fc.tuple(day, clock(count), offset).map(([date, time, zone]) => `${date} ${time} ${zone}`),
    ),
  ),
  rowversion: of({ name: 'rowversion' }, fc.uint8Array({ minLength: 8, maxLength: 8 })),
};

describe('values on the wire', () => {
  it.each(Object.keys(typed) as SqlType['name'][])('lose nothing of a %s, nor of its type', (name) => {
    fc.assert(
      fc.property(typed[name], ({ type, value }) => {
        const back = travel(type, value);
        expect(back.value).toEqual(value);
        const { length: _length, ...rest } = back.type;
        expect(rest).toMatchObject(name === 'rowversion' ? { name: 'binary' } : { name });
        expect([back.type.precision, back.type.scale]).toEqual([type.precision, type.scale]);
      }),
      { numRuns: 60 },
    );
  });

  it.each(Object.keys(typed) as SqlType['name'][])('keep a NULL %s apart from every value', (name) => {
    fc.assert(
      fc.property(typed[name], ({ type }) => {
        expect(travel({ ...type, nullable: true }, null).value).toBeNull();
      }),
      { numRuns: 10 },
    );
  });

  it.each<Typed>([
    { type: { name: 'tinyint', nullable: true }, value: 256n },
    { type: { name: 'int', nullable: true }, value: 2n ** 31n },
    { type: { name: 'bigint', nullable: true }, value: 2n ** 63n },
    { type: { name: 'bigint', nullable: true }, value: 1 },
    { type: { name: 'decimal', precision: 5, scale: 2, nullable: true }, value: '1.234' },
    { type: { name: 'decimal', precision: 5, scale: 2, nullable: true }, value: '1000.00' },
    { type: { name: 'nvarchar', length: 3, nullable: true }, value: 'four' },
    { type: { name: 'varbinary', length: 3, nullable: true }, value: new Uint8Array(4) },
    { type: { name: 'date', nullable: true }, value: '2026-02-29' },
    { type: { name: 'date', nullable: true }, value: '0000-01-01' },
    { type: { name: 'time', scale: 3, nullable: true }, value: '10:00:00.1234' },
    { type: { name: 'datetime2', scale: 7, nullable: true }, value: '2026-11-27T10:00:00' },
    { type: { name: 'smalldatetime', nullable: true }, value: '2026-11-27 10:00:01' },
    { type: { name: 'uniqueidentifier', nullable: true }, value: 'not-one' },
    { type: { name: 'bit', nullable: false }, value: null },
  ])('refuse what would not survive: $value as $type.name', ({ type, value }) => {
    expect(() => travel(type, value)).toThrow(RangeError);
  });

  it('round to the ticks of datetime as SQL Server does', () => {
    const type: SqlType = { name: 'datetime', nullable: true };
    expect(travel(type, '2026-11-27 20:31:05.001').value).toBe('2026-11-27 20:31:05.000');
    expect(travel(type, '2026-11-27 20:31:05.005').value).toBe('2026-11-27 20:31:05.007');
    expect(travel(type, '2026-11-27 20:31:05.998').value).toBe('2026-11-27 20:31:05.997');
  });

  it('turn what the code page lacks into question marks', () => {
    expect(travel({ name: 'varchar', length: 10, nullable: true }, 'aşkım €').value).toBe('a?k?m €');
  });
});

function travel(type: SqlType, value: SqlValue): { readonly type: SqlType; readonly value: SqlValue } {
  const writer = new ByteWriter();
  writeValue(writer, type, writeTypeInfo(writer, type), value);
  const reader = new ByteReader(writer.bytes);
  const wire = readTypeInfo(reader);
  const back = readValue(reader, wire);
  expect(reader.left).toBe(0);
  return { type: wire.type, value: back };
}

function of(type: Omit<SqlType, 'nullable'>, values: fc.Arbitrary<SqlValue>): fc.Arbitrary<Typed> {
  return fc.record({
    type: fc.boolean().map((nullable) => ({ ...type, nullable })),
    value: values,
  });
}

function decimalText(all: string, decimals: number, negative: boolean): string {
  const whole = all.slice(0, all.length - decimals).replace(/^0+(?=\d)/, '') || '0';
  const fraction = decimals === 0 ? '' : `.${all.slice(all.length - decimals)}`;
  return `${negative && /[1-9]/.test(all) ? '-' : ''}${whole}${fraction}`;
}

function hms(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().slice(11, 19);
}

function dayAfter1900(days: number): string {
  return new Date(Date.UTC(1900, 0, 1 + days)).toISOString().slice(0, 10);
}
