import { type SqlValue } from '../../../seam.js';
import { divideByZero, operandClash, operandsIncompatible } from '../../errors/value-faults.js';
import { checkInteger, convertValue } from '../../values/convert.js';
import { formatDecimal, parseDecimal, rescale } from '../../values/scaled-decimal.js';
import {
  commonType,
  decimal,
  isBinary,
  isDateTime,
  isFloating,
  isInteger,
  isText,
  isUnicode,
  nvarchar,
  shape,
  type ValueType,
  varbinary,
  varchar,
} from '../../values/value-type.js';
import { negated } from '../functions/number-functions.js';
import { type Expression } from '../parse/ast.js';
import { type Compiled } from './frame.js';

type Operator = Extract<Expression, { readonly kind: 'arithmetic' }>['operator'];

const NAMES: Readonly<Record<Operator, string>> = {
  '+': 'add',
  '-': 'subtract',
  '*': 'multiply',
  '/': 'divide',
  '%': 'modulo',
  '&': "'&'",
  '|': "'|'",
  '^': "'^'",
};

/** `a + b` and its kin, in the type in which both meet. */
export function arithmetic(operator: Operator, left: Compiled, right: Compiled): Compiled {
  const type = commonType(left.type, right.type);
  if (operator === '+' && (isText(type) || isBinary(type))) {
    return concatenation(left, right, type);
  }
  if (isText(type) || isBinary(type) || type.name === 'uniqueidentifier' || type.name === 'bit') {
    throw operandsIncompatible(left.type.name, right.type.name, NAMES[operator]);
  }
  if (isDateTime(type)) {
    throw operandClash(left.type.name, right.type.name);
  }
  const result = isInteger(type) || isFloating(type) ? type : decimalResult(operator, left.type, right.type);
  const compute = isInteger(type)
    ? integers(operator, type)
    : isFloating(type)
      ? floats(operator)
      : decimals(operator, result);
  const operand = isInteger(type) || isFloating(type) ? type : undefined;
  return {
    type: { ...result, nullable: true },
    evaluate: (frame) => {
      const [a, b] = [left.evaluate(frame), right.evaluate(frame)];
      if (a === null || b === null) {
        return null;
      }
      return operand === undefined
        ? compute(exact(a, left.type), exact(b, right.type))
        : compute(convertValue(a, left.type, operand), convertValue(b, right.type, operand));
    },
  };
}

export function unary(operator: '-' | '+' | '~', operand: Compiled): Compiled {
  const { type } = operand;
  if (isText(type) || (operator === '~' && !isInteger(type) && type.name !== 'bit')) {
    throw operandsIncompatible(type.name, type.name, operator === '-' ? 'minus' : `'${operator}'`);
  }
  return {
    type,
    evaluate: (frame) => {
      const value = operand.evaluate(frame);
      if (value === null || operator === '+') {
        return value;
      }
      if (operator === '-') {
        return negated(value);
      }
      return typeof value === 'boolean' ? !value : ~(value as bigint);
    },
  };
}

function concatenation(left: Compiled, right: Compiled, type: ValueType): Compiled {
  const text = isText(type);
  if (isBinary(left.type) !== isBinary(right.type)) {
    throw operandsIncompatible(left.type.name, right.type.name, 'add');
  }
  const length = total(left.type.length, right.type.length, isUnicode(type) ? 4_000 : 8_000);
  const base = text ? (isUnicode(type) ? nvarchar(length) : varchar(length)) : varbinary(length);
  const result = type.collation === undefined ? base : { ...base, collation: type.collation };
  const whole = text ? nvarchar('max') : varbinary('max');
  return {
    type: result,
    evaluate: (frame) => {
      const [a, b] = [
        convertValue(left.evaluate(frame), left.type, whole),
        convertValue(right.evaluate(frame), right.type, whole),
      ];
      if (a === null || b === null) {
        return null;
      }
      return a instanceof Uint8Array ? new Uint8Array([...a, ...(b as Uint8Array)]) : `${a as string}${b as string}`;
    },
  };
}

function integers(operator: Operator, type: ValueType) {
  return (left: SqlValue, right: SqlValue): SqlValue => {
    const [a, b] = [left as bigint, right as bigint];
    if ((operator === '/' || operator === '%') && b === 0n) {
      throw divideByZero();
    }
    const results: Readonly<Record<Operator, () => bigint>> = {
      '+': () => a + b,
      '-': () => a - b,
      '*': () => a * b,
      '/': () => a / b,
      '%': () => a % b,
      '&': () => a & b,
      '|': () => a | b,
      '^': () => a ^ b,
    };
    return checkInteger(results[operator](), type);
  };
}

function floats(operator: Operator) {
  return (left: SqlValue, right: SqlValue): SqlValue => {
    const [a, b] = [left as number, right as number];
    if (operator === '/' && b === 0) {
      throw divideByZero();
    }
    return operator === '+'
      ? a + b
      : operator === '-'
        ? a - b
        : operator === '*'
          ? a * b
          : operator === '/'
            ? a / b
            : a % b;
  };
}

function decimals(operator: Operator, type: ValueType) {
  const scale = type.scale ?? 4;
  return (left: SqlValue, right: SqlValue): SqlValue => {
    const a = parseDecimal(left as string) ?? { units: 0n, scale: 0 };
    const b = parseDecimal(right as string) ?? { units: 0n, scale: 0 };
    if ((operator === '/' || operator === '%') && b.units === 0n) {
      throw divideByZero();
    }
    if (operator === '*') {
      return formatDecimal(rescale({ units: a.units * b.units, scale: a.scale + b.scale }, scale));
    }
    if (operator === '/') {
      const units = (a.units * 10n ** BigInt(scale + b.scale)) / (b.units * 10n ** BigInt(a.scale));
      return formatDecimal({ units, scale });
    }
    const common = Math.max(a.scale, b.scale);
    const [x, y] = [rescale(a, common).units, rescale(b, common).units];
    const units = operator === '+' ? x + y : operator === '-' ? x - y : x % y;
    return formatDecimal(rescale({ units, scale: common }, scale));
  };
}

/** Precision and scale as the documentation of decimal arithmetic has them, cut to 38. */
function decimalResult(operator: Operator, left: ValueType, right: ValueType): ValueType {
  if (left.name === 'money' && right.name === 'money') {
    return left;
  }
  const [a, b] = [shape(left), shape(right)];
  if (operator === '*') {
    return decimal(Math.min(38, a.precision + b.precision + 1), Math.min(a.scale + b.scale, 37));
  }
  if (operator === '/') {
    const scale = Math.max(6, a.scale + b.precision + 1);
    const precision = a.precision - a.scale + b.scale + scale;
    return decimal(Math.min(38, precision), Math.max(6, Math.min(scale, 38 - (precision - scale))));
  }
  const scale = Math.max(a.scale, b.scale);
  const whole = Math.max(a.precision - a.scale, b.precision - b.scale);
  return decimal(Math.min(38, whole + scale + 1), scale);
}

/** An exact number as decimal text. */
function exact(value: SqlValue, type: ValueType): SqlValue {
  return convertValue(value, type, decimal(38, shape(type).scale));
}

function total(left: ValueType['length'], right: ValueType['length'], most: number): number | 'max' {
  return left === 'max' || right === 'max' ? 'max' : Math.min(most, (left ?? 30) + (right ?? 30));
}
