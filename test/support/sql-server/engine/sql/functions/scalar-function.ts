import { type SqlValue } from '../../../seam.js';
import { type ValueType } from '../../values/value-type.js';
import { type Run } from '../compile/frame.js';

/** What a function is given: values, and the types in which they come. */
export interface Call {
  readonly values: readonly SqlValue[];
  readonly types: readonly ValueType[];
  readonly run: Run;
}

/** A function that makes one value of others. */
export interface ScalarFunction {
  readonly least: number;
  readonly most: number;
  readonly type: ValueType | ((types: readonly ValueType[]) => ValueType);
  readonly evaluate: (call: Call) => SqlValue;
  /** Of the same arguments it is the same for all rows of a query. */
  readonly once?: boolean;
}

/** A function that is NULL as soon as one of its arguments is. */
export function strict(
  count: number | readonly [least: number, most: number],
  type: ScalarFunction['type'],
  evaluate: (values: readonly NonNullable<SqlValue>[], call: Call) => SqlValue,
): ScalarFunction {
  const [least, most] = typeof count === 'number' ? [count, count] : count;
  return {
    least,
    most,
    type,
    evaluate: (call) => {
      const values = call.values.filter((value): value is NonNullable<SqlValue> => value !== null);
      return values.length < call.values.length ? null : evaluate(values, call);
    },
  };
}

/** A function without arguments, or one that looks at NULLs itself. */
export function plain(
  count: number | readonly [least: number, most: number],
  type: ScalarFunction['type'],
  evaluate: (call: Call) => SqlValue,
): ScalarFunction {
  const [least, most] = typeof count === 'number' ? [count, count] : count;
  return { least, most, type, evaluate };
}
