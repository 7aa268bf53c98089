import { assertConvertible, convertValue } from '../../values/convert.js';
import { commonType, INT, isText, type ValueType } from '../../values/value-type.js';
import { type Compiled } from './frame.js';

/** A value as another type, checked beforehand. */
export function into({ type: from, evaluate }: Compiled, type: ValueType): Compiled['evaluate'] {
  assertConvertible(from, type);
  if (
    from.name === type.name &&
    (isText(type) ? type.name.startsWith('nv') || type.name.startsWith('v') : from.scale === type.scale)
  ) {
    return evaluate;
  }
  return (frame) => convertValue(evaluate(frame), from, type);
}

/** The type in which several values meet. */
export function meeting(values: readonly Compiled[]): ValueType {
  const type = values.map((one) => one.type).reduce((left, right) => commonType(left, right), values[0]?.type ?? INT);
  return { ...type, nullable: true };
}
