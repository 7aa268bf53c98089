import { InvalidInstantError, InvalidKeyTextError, KeyNotFromPrimaryKeyError } from '../data-sync.errors.js';
import type { WireKey } from './change-contract.js';
import { isInstantOfAnotherText } from './utc-instant.js';

const MAX_KEY_BYTES = 512;
// What redis-cache refuses in a key: braces move it to another cluster slot, a star makes a pattern of it, the rest breaks protocols and logs.
const REFUSED = /[{}*\s\p{Cc}\p{Cs}]/u;
const MAX_SAMPLES = 256;
// One of each kind that a key column can be on the wire; an instant comes first because it also passes as any text.
const SAMPLE_VALUES = ['2026-01-31T23:45:00.000Z', 17, '17', true] as const;
// What serialising or inspecting an object asks for; never a column.
const HARMLESS = new Set(['toJSON', 'then', 'constructor']);

/** What a key is made by. */
export interface KeySource {
  /** The contract's name, for errors. */
  readonly contract: string;
  readonly primaryKey: readonly string[];
  key(pk: WireKey): string;
}

/**
 * The key of a row, by a function that sees nothing but the primary key.
 *
 * @throws {@link KeyNotFromPrimaryKeyError} when it asks for another column.
 * @throws {@link InvalidKeyTextError} when it throws or answers no key.
 * @throws {@link InvalidInstantError} when a column holds an instant in another text than `utcInstant` gives.
 */
export function computeKey(source: KeySource, pk: WireKey): string {
  const seen: Record<string, WireKey[string]> = {};
  for (const column of source.primaryKey) {
    const value = pk[column];
    if (value === undefined || value === null) {
      throw new InvalidKeyTextError(source.contract, `needs the column "${column}", which the row's key lacks`);
    }
    if (typeof value === 'string' && isInstantOfAnotherText(value)) {
      throw new InvalidInstantError(`in column "${column}" is not in the one text of an instant`);
    }
    seen[column] = value;
  }
  let text: unknown;
  try {
    text = source.key(guarded(source, Object.freeze(seen)));
  } catch (error) {
    if (KeyNotFromPrimaryKeyError.is(error)) {
      throw error;
    }
    throw new InvalidKeyTextError(source.contract, 'threw', error);
  }
  return checkKeyText(source.contract, text);
}

/**
 * Tries the function on samples of every kind of column, so that a key that reads another column is found at start and not at the
 * first deleted row.
 *
 * @param example a primary key of the table, where samples cannot do (a format that the function parses).
 * @throws {@link KeyNotFromPrimaryKeyError} and {@link InvalidKeyTextError}.
 */
export function checkKeyFunction(source: KeySource, example?: WireKey): void {
  if (example !== undefined) {
    checkStable(source, example, computeKey(source, example));
    return;
  }
  let failure: unknown;
  let accepted = false;
  for (const pk of samples(source.primaryKey)) {
    let key: string;
    try {
      key = computeKey(source, pk);
    } catch (error) {
      // A function that parses its columns refuses samples of the wrong kind; only another column is beyond doubt.
      if (KeyNotFromPrimaryKeyError.is(error)) {
        throw error;
      }
      failure ??= error;
      continue;
    }
    checkStable(source, pk, key);
    accepted = true;
  }
  if (!accepted) {
    throw new InvalidKeyTextError(
      source.contract,
      'gives no key for any sample of its columns: give `example`, a primary key that it accepts',
      failure,
    );
  }
}

function checkStable(source: KeySource, pk: WireKey, key: string): void {
  if (computeKey(source, pk) !== key) {
    throw new InvalidKeyTextError(source.contract, 'differs between two calls with one primary key');
  }
}

function guarded(source: KeySource, pk: WireKey): WireKey {
  const refuse = (property: string): never => {
    throw new KeyNotFromPrimaryKeyError(source.contract, property, source.primaryKey);
  };
  return new Proxy(pk, {
    get: (target, property) => {
      if (typeof property === 'symbol' || Object.hasOwn(target, property)) {
        return Reflect.get(target, property) as unknown;
      }
      return HARMLESS.has(property) ? undefined : refuse(property);
    },
    has: (target, property) =>
      typeof property === 'symbol' || Object.hasOwn(target, property)
        ? Reflect.has(target, property)
        : refuse(property),
  });
}

function checkKeyText(contract: string, text: unknown): string {
  if (typeof text !== 'string') {
    throw new InvalidKeyTextError(contract, `is no text but ${text === null ? 'null' : typeof text}`);
  }
  if (text === '' || Buffer.byteLength(text) > MAX_KEY_BYTES) {
    throw new InvalidKeyTextError(contract, `has ${Buffer.byteLength(text)} bytes`);
  }
  if (REFUSED.test(text)) {
    throw new InvalidKeyTextError(
      contract,
      'holds white space, a control character, one of { } *, or half of a surrogate pair',
    );
  }
  return text;
}

/** Combinations of sample values, all columns alike first; bounded, and all of them tried, so that branches are seen. */
function* samples(columns: readonly string[]): Generator<WireKey> {
  for (const value of SAMPLE_VALUES) {
    yield Object.fromEntries(columns.map((column) => [column, value]));
  }
  const combinations = Math.min(SAMPLE_VALUES.length ** columns.length, MAX_SAMPLES);
  for (let combination = 0; combination < combinations; combination++) {
    let rest = combination;
    yield Object.fromEntries(
      columns.map((column) => {
        const value = SAMPLE_VALUES[rest % SAMPLE_VALUES.length] ?? SAMPLE_VALUES[0];
        rest = Math.floor(rest / SAMPLE_VALUES.length);
        return [column, value];
      }),
    );
  }
}
