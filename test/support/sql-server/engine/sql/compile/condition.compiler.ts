import { operandsIncompatible } from '../../errors/value-faults.js';
import { compareValues, foldText } from '../../values/compare.js';
import { commonType, isText, nvarchar, type ValueType } from '../../values/value-type.js';
import { type Comparison, type Condition, type Expression } from '../parse/ast.js';
import { into } from './conversion.js';
import { type ExpressionCompiler } from './expression.compiler.js';
import { type Compiled, type Frame, type Test } from './frame.js';

const HOLDS: Readonly<Record<Comparison, (order: number) => boolean>> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

/** Conditions are true, false or unknown. */
export class ConditionCompiler {
  constructor(private readonly expressions: ExpressionCompiler) {}

  compile(condition: Condition): Test {
    switch (condition.kind) {
      case 'and': {
        const [left, right] = [this.compile(condition.left), this.compile(condition.right)];
        return (frame) => {
          const first = left(frame);
          return first === false ? false : and(first, right(frame));
        };
      }
      case 'or': {
        const [left, right] = [this.compile(condition.left), this.compile(condition.right)];
        return (frame) => {
          const first = left(frame);
          return first === true ? true : or(first, right(frame));
        };
      }
      case 'not':
        return negate(this.compile(condition.operand));
      case 'compare':
        return this.#compare(condition.operator, condition.left, condition.right);
      case 'isNull': {
        const operand = this.expressions.expression(condition.operand);
        return (frame) => (operand.evaluate(frame) === null) !== condition.negated;
      }
      case 'in':
        return this.#in(condition);
      case 'like':
        return this.#like(condition);
      case 'between': {
        const { operand, low, high } = condition;
        const within = this.compile({
          kind: 'and',
          left: { kind: 'compare', operator: '>=', left: operand, right: low },
          right: { kind: 'compare', operator: '<=', left: operand, right: high },
        });
        return condition.negated ? negate(within) : within;
      }
      case 'exists':
      default: {
        const query = this.expressions.query(condition.query);
        return (frame) => query.rows(frame.run, frame)[Symbol.iterator]().next().done !== true;
      }
    }
  }

  #compare(operator: Comparison, left: Expression, right: Expression): Test {
    const [a, b] = [this.expressions.expression(left), this.expressions.expression(right)];
    const { type, first, second } = meet(a, b, operator);
    const holds = HOLDS[operator];
    return (frame) => {
      const x = first(frame);
      const y = x === null ? null : second(frame);
      return x === null || y === null ? null : holds(compareValues(x, y, type));
    };
  }

  #in({ operand, list, negated }: Condition & { readonly kind: 'in' }): Test {
    const test = 'body' in list ? this.#inQuery(operand, list) : this.#inList(operand, list);
    return negated ? negate(test) : test;
  }

  #inList(operand: Expression, list: readonly Expression[]): Test {
    const tests = list.map((one) => this.#compare('=', operand, one));
    return (frame) => {
      let result: boolean | null = false;
      for (const test of tests) {
        result = or(result, test(frame));
        if (result === true) {
          return true;
        }
      }
      return result;
    };
  }

  #inQuery(operand: Expression, query: Parameters<ExpressionCompiler['query']>[0]): Test {
    const value = this.expressions.expression(operand);
    const compiled = this.expressions.query(query);
    const column: Compiled = { type: compiled.columns[0]?.type ?? value.type, evaluate: () => null };
    const { type, first } = meet(value, column, '=');
    return (frame) => {
      const wanted = first(frame);
      if (wanted === null) {
        return null;
      }
      let unknown = false;
      for (const [found = null] of compiled.rows(frame.run, frame)) {
        const converted = into({ type: column.type, evaluate: () => found }, type)(frame);
        if (converted === null) {
          unknown = true;
        } else if (compareValues(wanted, converted, type) === 0) {
          return true;
        }
      }
      return unknown ? null : false;
    };
  }

  #like({ operand, pattern, escape, negated }: Condition & { readonly kind: 'like' }): Test {
    const value = this.expressions.expression(operand);
    const text = into(value, isText(value.type) ? value.type : nvarchar('max'));
    const wanted = into(this.expressions.expression(pattern), nvarchar('max'));
    const quote = escape === undefined ? () => null : this.expressions.expression(escape).evaluate;
    const test = (frame: Frame): boolean | null => {
      const [found, like] = [text(frame), wanted(frame)];
      if (found === null || like === null) {
        return null;
      }
      return likePattern(String(like), String(quote(frame) ?? ''), value.type).test(String(found));
    };
    return negated ? negate(test) : test;
  }
}

/** Two values as the type in which they are compared. @throws 402 */
export function meet(
  left: Compiled,
  right: Compiled,
  operator: Comparison,
): { readonly type: ValueType; readonly first: Compiled['evaluate']; readonly second: Compiled['evaluate'] } {
  const type = commonType(left.type, right.type);
  if (left.type.name === 'date' && right.type.name === 'time') {
    throw operandsIncompatible(left.type.name, right.type.name, operator === '=' ? 'equal to' : `'${operator}'`);
  }
  return { type, first: into(left, wide(type)), second: into(right, wide(type)) };
}

/** A text is never cut before it is compared. */
function wide(type: ValueType): ValueType {
  return isText(type) ? { ...type, name: type.name.startsWith('n') ? 'nvarchar' : 'varchar', length: 'max' } : type;
}

function likePattern(pattern: string, escape: string, type: ValueType): RegExp {
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] ?? '';
    if (escape !== '' && char === escape) {
      at++;
      source += literal(pattern[at] ?? '');
    } else if (char === '%') {
      source += '[^]*';
    } else if (char === '_') {
      source += '[^]';
    } else if (char === '[' && pattern.includes(']', at + 1)) {
      const end = pattern.indexOf(']', at + 1);
      source += `[${pattern.slice(at + 1, end).replaceAll('\\', '\\\\')}]`;
      at = end;
    } else {
      source += literal(char);
    }
  }
  return new RegExp(`^${source}$`, foldText('A', type) === 'a' ? 'iu' : 'u');
}

function literal(char: string): string {
  return /[.*+?^${}()|[\]\\/]/.test(char) ? `\\${char}` : char;
}

function and(left: boolean | null, right: boolean | null): boolean | null {
  return left === false || right === false ? false : left === null || right === null ? null : true;
}

function or(left: boolean | null, right: boolean | null): boolean | null {
  return left === true || right === true ? true : left === null || right === null ? null : false;
}

function negate(test: Test): Test {
  return (frame) => {
    const result = test(frame);
    return result === null ? null : !result;
  };
}
