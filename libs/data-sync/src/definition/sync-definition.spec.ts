import { ConfigurationError } from '@smartpulse/resilience';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { InvalidInstantError, InvalidKeyTextError, KeyNotFromPrimaryKeyError } from '../data-sync.errors.js';
import { wrongly } from '../testing/wrongly.js';
import { type ChangeContract, defineChange, type RowOf } from './change-contract.js';
import { defineSync } from './sync-definition.js';
import { utcDay } from './utc-instant.js';

const Forecast = z.object({
  provider: z.string(),
  unitNo: z.number(),
  deliveryStart: z.string(),
  megawatt: z.string().transform(Number),
});
const forecastChange = defineChange({
  name: 'forecast',
  topic: 'forecast-changes',
  primaryKey: ['provider', 'unitNo', 'deliveryStart'],
  schema: Forecast,
  version: 1,
});
const aggregate = { table: 'dbo.forecast', cache: 'forecast', shape: 'aggregate' } as const;

/** A key function that the type checker would refuse: what a caller in JavaScript, or with a cast, may hand in. */
function careless(key: (pk: Readonly<Record<string, string>>) => unknown) {
  return wrongly<(pk: object) => string>(key);
}

describe('defineChange', () => {
  it('infers row and key from the schema and the columns', () => {
    expectTypeOf<RowOf<typeof forecastChange>['megawatt']>().toEqualTypeOf<number>();
    type Pk = typeof forecastChange extends ChangeContract<infer _Row, infer Pk> ? Pk : never;
    expectTypeOf<Pk>().toEqualTypeOf<{
      readonly provider: string;
      readonly unitNo: number;
      readonly deliveryStart: string;
    }>();
  });

  it('names every wrong option and no value', () => {
    const wrong = (): unknown =>
      defineChange({
        name: 'Fore cast',
        topic: '',
        primaryKey: ['provider', 'provider'],
        schema: Forecast,
        version: 0,
      });
    expect(wrong).toThrow(ConfigurationError);
    expect(wrong).toThrow(/"name".*"topic".*"primaryKey".*"version"/s);
    expect(wrong).not.toThrow(/Fore cast/);
  });

  it('refuses a key without columns and a schema that is none', () => {
    expect(() => defineChange({ name: 'a', topic: 'a', primaryKey: [], schema: Forecast, version: 1 })).toThrow(
      /"primaryKey": expected at least one column/,
    );
    const notASchema = wrongly<typeof Forecast>({ parse: () => ({}) });
    expect(() => defineChange({ name: 'a', topic: 'a', primaryKey: [], schema: notASchema, version: 1 })).toThrow(
      /"schema": expected a Standard Schema/,
    );
  });
});

describe('defineSync', () => {
  it('makes the key of a row', () => {
    const sync = defineSync(forecastChange, {
      ...aggregate,
      key: (pk) => `${pk.provider}/${pk.unitNo}/${utcDay(pk.deliveryStart)}`,
    });
    expect(sync.keyOf({ provider: 'EPIAS', unitNo: 7, deliveryStart: '2026-03-29T22:15:00.000Z' })).toBe(
      'EPIAS/7/2026-03-29',
    );
  });

  it('refuses a key that reads a column outside the primary key, before any row is seen', () => {
    expect(() =>
      defineSync(forecastChange, { ...aggregate, key: careless((pk) => `${pk['provider']}/${pk['region']}`) }),
    ).toThrow(KeyNotFromPrimaryKeyError);
    expect(() =>
      defineSync(forecastChange, { ...aggregate, key: careless((pk) => ('region' in pk ? 'a' : 'b')) }),
    ).toThrow(/reads "region".*\(provider, unitNo, deliveryStart\)/);
  });

  it('refuses a column that only some rows make the key read, when such a row comes', () => {
    const sync = defineSync(forecastChange, {
      ...aggregate,
      key: careless((pk) => (pk['provider'] === 'NORDPOOL' ? `n/${pk['area']}` : `${pk['provider']}`)),
    });
    const pk = { unitNo: 1, deliveryStart: '2026-03-29T22:15:00.000Z' };
    expect(sync.keyOf({ ...pk, provider: 'EPIAS' })).toBe('EPIAS');
    expect(() => sync.keyOf({ ...pk, provider: 'NORDPOOL' })).toThrow(KeyNotFromPrimaryKeyError);
  });

  it('hides columns of a whole row that is passed as its key', () => {
    const sync = defineSync(forecastChange, { ...aggregate, key: (pk) => Object.values(pk).join('/') });
    const row = { provider: 'EPIAS', unitNo: 7, deliveryStart: '2026-03-29T22:15:00.000Z', megawatt: '12.5' };
    expect(sync.keyOf(row)).toBe('EPIAS/7/2026-03-29T22:15:00.000Z');
  });

  it('hands the key function a primary key that it cannot change', () => {
    const sync = defineSync(forecastChange, { ...aggregate, key: (pk) => pk.provider });
    expect(sync.keyOf({ provider: 'EPIAS', unitNo: 7, deliveryStart: '2026-03-29T22:15:00.000Z' })).toBe('EPIAS');
    expect(() =>
      defineSync(forecastChange, {
        ...aggregate,
        key: careless((pk) => Reflect.set(pk, 'provider', 'x') || pk['provider']),
      }),
    ).not.toThrow();
  });

  it.each([
    ['no text', () => 17],
    ['empty', () => ''],
    ['longer than 512 bytes', () => 'x'.repeat(513)],
    ['with white space', () => 'a b'],
    ['with a control character', () => 'a\u0000'],
    ['with braces', () => '{a}'],
    ['half of a surrogate pair', () => '\ud800'],
  ])('refuses a key that is %s', (_what, key) => {
    expect(() => defineSync(forecastChange, { ...aggregate, key: careless(key) })).toThrow(InvalidKeyTextError);
  });

  it('refuses a key that differs between two calls', () => {
    let calls = 0;
    expect(() => defineSync(forecastChange, { ...aggregate, key: () => `key-${calls++}` })).toThrow(
      /differs between two calls/,
    );
  });

  it('checks a key that parses an unusual format with the example', () => {
    const key = (pk: { readonly provider: string }): string => {
      const [, market] = /^([A-Z]{3})-market$/.exec(pk.provider) ?? [];
      if (market === undefined) {
        throw new TypeError('no market');
      }
      return market;
    };
    expect(() => defineSync(forecastChange, { ...aggregate, key })).toThrow(/give `example`/);
    const example = { provider: 'ABC-market', unitNo: 1, deliveryStart: '2026-03-29T22:15:00.000Z' };
    expect(defineSync(forecastChange, { ...aggregate, key, example }).keyOf(example)).toBe('ABC');
  });

  it('refuses an instant in another text than the one that keys are made of', () => {
    const sync = defineSync(forecastChange, { ...aggregate, key: (pk) => `${pk.provider}/${pk.deliveryStart}` });
    expect(() => sync.keyOf({ provider: 'EPIAS', unitNo: 7, deliveryStart: '2026-03-29T22:15:00Z' })).toThrow(
      InvalidInstantError,
    );
  });

  it('refuses a primary key with a column missing', () => {
    const sync = defineSync(forecastChange, { ...aggregate, key: (pk) => pk.provider });
    expect(() => sync.keyOf(wrongly({ provider: 'EPIAS', unitNo: 7 }))).toThrow(InvalidKeyTextError);
  });

  it('makes the name of a field in shape "fields", of columns of the primary key alone', () => {
    const fields = { ...aggregate, shape: 'fields', value: (row: object) => row } as const;
    const sync = defineSync(forecastChange, {
      ...fields,
      shape: 'fields',
      key: (pk) => `${pk.provider}/${pk.unitNo}/${utcDay(pk.deliveryStart)}`,
      field: (pk) => pk.deliveryStart,
    });
    const pk = { provider: 'EPIAS', unitNo: 7, deliveryStart: '2026-03-29T22:15:00.000Z' };
    expect([sync.keyOf(pk), sync.fieldOf(pk)]).toEqual(['EPIAS/7/2026-03-29', '2026-03-29T22:15:00.000Z']);
    const key = (one: { readonly provider: string }): string => one.provider;
    expect(() => defineSync(forecastChange, { ...fields, key, field: careless((one) => one['region']) })).toThrow(
      /reads "region"/,
    );
    expect(() => defineSync(forecastChange, { ...fields, key, field: careless(() => '') })).toThrow(
      InvalidKeyTextError,
    );
    expect(() => defineSync(forecastChange, { ...aggregate, key }).fieldOf(pk)).toThrow(/not of shape "fields"/);
  });

  it('refuses fields without a name or a value, and names of fields in another shape', () => {
    const key = (pk: { readonly provider: string }): string => pk.provider;
    expect(() => defineSync(forecastChange, wrongly({ ...aggregate, shape: 'fields', key }))).toThrow(
      /"value": shape "fields" needs.*"field": shape "fields" needs/s,
    );
    expect(() => defineSync(forecastChange, wrongly({ ...aggregate, key, field: key }))).toThrow(
      /"field": shape "aggregate" has no field/,
    );
    expect(() => defineSync(forecastChange, wrongly({ ...aggregate, shape: 'rows', key }))).toThrow(/"shape"/);
  });

  it('refuses a row without a value and an aggregate with one', () => {
    const key = (pk: { readonly provider: string }): string => pk.provider;
    expect(() => defineSync(forecastChange, wrongly({ ...aggregate, shape: 'row', key }))).toThrow(
      /"value": shape "row" needs/,
    );
    expect(() => defineSync(forecastChange, wrongly({ ...aggregate, key, value: () => 1 }))).toThrow(
      /"value": shape "aggregate" has no value/,
    );
  });

  it.each(['forecast', 'dbo.[forecast]', "dbo.x'; drop table y", '', 'a.b.c'])(
    'refuses the table name "%s"',
    (table) => {
      expect(() => defineSync(forecastChange, { ...aggregate, table, key: (pk) => pk.provider })).toThrow(/"table"/);
    },
  );
});
