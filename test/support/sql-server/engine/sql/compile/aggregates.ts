import { type SqlValue } from '../../../seam.js';
import { divideByZero, invalidArgument } from '../../errors/value-faults.js';
import { compareValues, keyText } from '../../values/compare.js';
import { checkInteger, convertValue, textOf } from '../../values/convert.js';
import { formatDecimal, parseDecimal, rescale } from '../../values/scaled-decimal.js';
import {
  BIGINT,
  decimal,
  INT,
  isFloating,
  isInteger,
  isText,
  nvarchar,
  shape,
  type ValueType,
} from '../../values/value-type.js';
import { type Condition, type Expression, type Query } from '../parse/ast.js';

/** What is gathered over the rows of a group. */
export interface Aggregate {
  readonly type: ValueType;
  /** `values`: those of the rows, NULLs left out. `rows`: how many rows there were. */
  readonly result: (values: readonly NonNullable<SqlValue>[], rows: number) => SqlValue;
}

const NAMES = ['count', 'count_big', 'sum', 'avg', 'min', 'max', 'checksum_agg', 'string_agg'];

export function isAggregate(expression: Expression): expression is Expression & { readonly kind: 'call' } {
  return expression.kind === 'call' && NAMES.includes(expression.name);
}

/** Whether an aggregate stands anywhere in it, queries inside left out. */
export function containsAggregate(node: Expression | Condition | Query | undefined): boolean {
  if (node === undefined || 'body' in node || node.kind === 'subquery' || node.kind === 'exists') {
    return false;
  }
  if (node.kind === 'call' && isAggregate(node)) {
    return true;
  }
  return Object.values(node).some((part: unknown) => partsOf(part).some(containsAggregate));
}

/** The aggregate of that name over values of that type. @throws 8117-like 8116 */
export function aggregateOf(name: string, type: ValueType | undefined, distinct: boolean): Aggregate {
  const over = distinct && type !== undefined ? unique(type) : (values: readonly NonNullable<SqlValue>[]) => values;
  if (name === 'count' || name === 'count_big') {
    return {
      type: { ...(name === 'count' ? INT : BIGINT), nullable: true },
      result: (values, rows) => BigInt(type === undefined ? rows : over(values).length),
    };
  }
  const of = type ?? INT;
  if (name === 'min' || name === 'max') {
    const sign = name === 'min' ? 1 : -1;
    return {
      type: { ...of, nullable: true },
      result: (values) =>
        values.reduce<SqlValue>(
          (best, one) => (best === null || sign * compareValues(one, best, of) < 0 ? one : best),
          null,
        ),
    };
  }
  if (name === 'string_agg') {
    return {
      type: nvarchar(4_000),
      result: (values) => (values.length === 0 ? null : values.map((one) => textOf(one, of)).join(',')),
    };
  }
  if (name === 'checksum_agg') {
    return { type: INT, result: (values) => values.reduce<bigint>((sum, one) => sum ^ (one as bigint), 0n) };
  }
  if (isText(of) || of.name === 'bit') {
    throw invalidArgument(of.name, 1, name);
  }
  return name === 'sum' ? sum(of, over) : average(of, over);
}

type Over = (values: readonly NonNullable<SqlValue>[]) => readonly NonNullable<SqlValue>[];

function sum(type: ValueType, over: Over): Aggregate {
  const result = sumType(type);
  return {
    type: { ...result, nullable: true },
    result: (values) => {
      const all = over(values);
      if (all.length === 0) {
        return null;
      }
      if (isInteger(type)) {
        return checkInteger(
          all.reduce<bigint>((total, one) => total + (one as bigint), 0n),
          result,
        );
      }
      return isFloating(type)
        ? all.reduce<number>((total, one) => total + (one as number), 0)
        : formatDecimal({ units: units(all, type), scale: shape(type).scale });
    },
  };
}

function average(type: ValueType, over: Over): Aggregate {
  const total = sum(type, over);
  const result = isInteger(type) || isFloating(type) ? total.type : decimal(38, Math.max(6, shape(type).scale));
  return {
    type: { ...result, nullable: true },
    result: (values) => {
      const count = over(values).length;
      const whole = total.result(values, 0);
      if (whole === null) {
        return null;
      }
      if (count === 0) {
        throw divideByZero();
      }
      if (typeof whole === 'bigint') {
        return whole / BigInt(count);
      }
      if (typeof whole === 'number') {
        return whole / count;
      }
      const scale = shape(result).scale;
      const exact = rescale({ units: units(over(values), type), scale: shape(type).scale }, scale);
      return convertValue(formatDecimal({ units: exact.units / BigInt(count), scale }), result, result);
    },
  };
}

function units(values: readonly NonNullable<SqlValue>[], type: ValueType): bigint {
  const { scale } = shape(type);
  return values.reduce<bigint>(
    (total, one) => total + rescale(parseDecimal(String(one)) ?? { units: 0n, scale: 0 }, scale).units,
    0n,
  );
}

function sumType(type: ValueType): ValueType {
  if (isInteger(type)) {
    return type.name === 'bigint' ? BIGINT : INT;
  }
  return type.name === 'decimal' ? decimal(38, shape(type).scale) : type;
}

function unique(type: ValueType): Over {
  return (values) => [...new Map(values.map((one) => [keyText([one], [type]), one])).values()];
}

/** What is inside of a part of the tree: nodes, lists of nodes, branches of CASE. */
function partsOf(part: unknown): readonly (Expression | Condition)[] {
  if (Array.isArray(part)) {
    return part.flatMap(partsOf);
  }
  if (typeof part !== 'object' || part === null || part instanceof Uint8Array || 'body' in part) {
    return [];
  }
  return 'kind' in part ? [part as Expression] : Object.values(part).flatMap(partsOf);
}
