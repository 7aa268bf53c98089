import { type SqlValue } from '../../../seam.js';
import { formatDecimal, parseDecimal, rescale } from '../../values/scaled-decimal.js';
import { INT, type ValueType } from '../../values/value-type.js';
import { type ScalarFunction, strict } from './scalar-function.js';

const same = ([type]: readonly ValueType[]): ValueType => type ?? INT;

/** Functions over numbers. */
export const NUMBER_FUNCTIONS: Readonly<Record<string, ScalarFunction>> = {
  abs: strict(1, same, ([value]) => (isNegative(value) ? negated(value) : (value ?? null))),
  sign: strict(1, same, ([value]) => {
    const sign = isNegative(value) ? -1 : Number(Number(value) > 0);
    return typeof value === 'bigint' ? BigInt(sign) : typeof value === 'number' ? sign : String(sign);
  }),
  floor: strict(1, same, ([value]) => (typeof value === 'number' ? Math.floor(value) : toWhole(value, -1n))),
  ceiling: strict(1, same, ([value]) => (typeof value === 'number' ? Math.ceil(value) : toWhole(value, 1n))),
  round: strict([2, 3], same, ([value, places]) => {
    if (typeof value !== 'string') {
      return value ?? null;
    }
    const number = parseDecimal(value) ?? { units: 0n, scale: 0 };
    return formatDecimal(rescale(rescale(number, Math.max(0, Number(places))), number.scale));
  }),
};

export function negated(value: SqlValue | undefined): SqlValue {
  if (typeof value === 'bigint' || typeof value === 'number') {
    return -value;
  }
  const number = parseDecimal(String(value)) ?? { units: 0n, scale: 0 };
  return formatDecimal({ units: -number.units, scale: number.scale });
}

function isNegative(value: SqlValue | undefined): boolean {
  return typeof value === 'string' ? value.trim().startsWith('-') : Number(value) < 0;
}

function toWhole(value: SqlValue | undefined, direction: bigint): SqlValue {
  if (typeof value !== 'string') {
    return value ?? null;
  }
  const { units, scale } = parseDecimal(value) ?? { units: 0n, scale: 0 };
  const unit = 10n ** BigInt(scale);
  const whole = units / unit;
  const away = units % unit !== 0n && units > 0n === direction > 0n ? direction : 0n;
  return String(whole + away);
}
