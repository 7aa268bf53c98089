import { type SqlValue } from '../../../seam.js';
import { EngineFault, unsupported } from '../../errors/fault.js';
import {
  incorrectSyntaxNearKeyword,
  moreThanOneValue,
  oneColumnOnly,
  undeclaredVariable,
  unknownFunction,
  wrongArgumentCount,
} from '../../errors/query-faults.js';
import { unknownDatePart } from '../../errors/value-faults.js';
import { assertConvertible } from '../../values/convert.js';
import { convertStyled } from '../../values/convert-styled.js';
import { type ValueType } from '../../values/value-type.js';
import { CATALOG_FUNCTIONS, TRACKING_FUNCTIONS } from '../functions/catalog-functions.js';
import { DATE_FUNCTIONS, DATE_PART_FUNCTIONS, datePart } from '../functions/date-functions.js';
import { NUMBER_FUNCTIONS } from '../functions/number-functions.js';
import { type ScalarFunction } from '../functions/scalar-function.js';
import { GLOBALS, SESSION_FUNCTIONS } from '../functions/session-functions.js';
import { TEXT_FUNCTIONS } from '../functions/text-functions.js';
import { type Condition, type Expression, type Query } from '../parse/ast.js';
import { collated } from '../parse/expression.parser.js';
import { arithmetic, unary } from './arithmetic.js';
import { ConditionCompiler } from './condition.compiler.js';
import { into, meeting } from './conversion.js';
import { type Environment } from './environment.js';
import { type Compiled, type Frame, type Run, type Test } from './frame.js';
import { columnReader, type Scope } from './scope.js';

/** A query inside of an expression, ready to run for each row around it. */
export interface CompiledQuery {
  readonly columns: readonly { readonly name: string; readonly type: ValueType }[];
  readonly rows: (run: Run, parent: Frame | undefined) => Iterable<readonly SqlValue[]>;
}

/** Makes queries of queries; given by who knows both. */
export type QueryCompiler = (query: Query, environment: Environment, scope: Scope | undefined) => CompiledQuery;

/** Looked at first: an aggregate or a grouped column is a value of its group. `undefined` = go on as usual. */
export type ExpressionHook = (expression: Expression) => Compiled | undefined;

const FUNCTIONS: Readonly<Record<string, ScalarFunction>> = {
  ...TEXT_FUNCTIONS,
  ...NUMBER_FUNCTIONS,
  ...DATE_FUNCTIONS,
  ...CATALOG_FUNCTIONS,
  ...TRACKING_FUNCTIONS,
  ...SESSION_FUNCTIONS,
};

/** Makes functions of expressions; names and types are settled here, before any row is read. */
export class ExpressionCompiler {
  readonly #conditions: ConditionCompiler;

  constructor(
    readonly environment: Environment,
    readonly scope: Scope,
    private readonly compileQuery: QueryCompiler,
    private readonly hook: ExpressionHook = () => undefined,
  ) {
    this.#conditions = new ConditionCompiler(this);
  }

  condition(condition: Condition): Test {
    return this.#conditions.compile(condition);
  }

  query(query: Query): CompiledQuery {
    return this.compileQuery(query, this.environment, this.scope);
  }

  expression(expression: Expression): Compiled {
    const hooked = this.hook(expression);
    if (hooked !== undefined) {
      return hooked;
    }
    switch (expression.kind) {
      case 'literal':
        return { type: expression.type, evaluate: () => expression.value };
      case 'variable':
        return this.#variable(expression.name);
      case 'column':
        return columnReader(this.scope.resolve(expression.parts));
      case 'unary':
        return unary(expression.operator, this.expression(expression.operand));
      case 'arithmetic':
        return arithmetic(expression.operator, this.expression(expression.left), this.expression(expression.right));
      case 'case':
        return this.#case(expression);
      case 'iif':
        return this.#choice(
          [{ test: this.condition(expression.condition), value: this.expression(expression.value) }],
          this.expression(expression.otherwise),
        );
      case 'call':
        return this.#call(expression);
      case 'cast':
        return this.#cast(expression);
      case 'subquery':
        return this.#subquery(expression.query);
      case 'collate': {
        const operand = this.expression(expression.operand);
        return { type: collated(operand.type, expression.collation), evaluate: operand.evaluate };
      }
      case 'default':
      default:
        throw incorrectSyntaxNearKeyword('DEFAULT');
    }
  }

  #variable(name: string): Compiled {
    if (name.startsWith('@@')) {
      const known = GLOBALS[name.toLowerCase()];
      if (known === undefined) {
        throw undeclaredVariable(name);
      }
      return { type: known.type, evaluate: ({ run }) => known.value(run) };
    }
    const key = name.toLowerCase();
    return { type: this.environment.variableType(name), evaluate: ({ run }) => run.variables.get(key) ?? null };
  }

  #case({ operand, branches, otherwise }: Expression & { readonly kind: 'case' }): Compiled {
    const compiled = branches.map(({ when, value }) => ({
      test:
        operand === undefined
          ? this.condition(when as Condition)
          : this.condition({ kind: 'compare', operator: '=', left: operand, right: when as Expression }),
      value: this.expression(value),
    }));
    return this.#choice(compiled, otherwise === undefined ? undefined : this.expression(otherwise));
  }

  #choice(
    branches: readonly { readonly test: Test; readonly value: Compiled }[],
    otherwise: Compiled | undefined,
  ): Compiled {
    const results = [...branches.map(({ value }) => value), ...(otherwise === undefined ? [] : [otherwise])];
    const type = meeting(results);
    const converted = branches.map(({ test, value }) => ({ test, evaluate: into(value, type) }));
    const last = otherwise === undefined ? () => null : into(otherwise, type);
    return {
      type,
      evaluate: (frame) => (converted.find(({ test }) => test(frame) === true)?.evaluate ?? last)(frame),
    };
  }

  #cast({ operand, type, trying, style }: Expression & { readonly kind: 'cast' }): Compiled {
    const value = this.expression(operand);
    assertConvertible(value.type, type, { explicit: true });
    return {
      type: { ...type, nullable: true },
      evaluate: (frame) => {
        try {
          return convertStyled(value.evaluate(frame), value.type, type, style);
        } catch (error) {
          if (trying && error instanceof EngineFault) {
            return null;
          }
          throw error;
        }
      },
    };
  }

  #subquery(query: Query): Compiled {
    const compiled = this.query(query);
    const [column] = compiled.columns;
    if (column === undefined || compiled.columns.length > 1) {
      throw oneColumnOnly();
    }
    return {
      type: { ...column.type, nullable: true },
      evaluate: (frame) => {
        const [first, second] = take(compiled.rows(frame.run, frame), 2);
        if (second !== undefined) {
          throw moreThanOneValue();
        }
        return first?.[0] ?? null;
      },
    };
  }

  #call(call: Expression & { readonly kind: 'call' }): Compiled {
    const { name } = call;
    if (name === 'coalesce') {
      return this.#coalesce(call.args.map((one) => this.expression(one)));
    }
    if (name === 'isnull') {
      return this.#isNull(call.args.map((one) => this.expression(one)));
    }
    if (name === 'nullif') {
      const [left, right] = call.args as [Expression, Expression];
      const equal = this.condition({ kind: 'compare', operator: '=', left, right });
      const value = this.expression(left);
      return {
        type: { ...value.type, nullable: true },
        evaluate: (frame) => (equal(frame) === true ? null : value.evaluate(frame)),
      };
    }
    const partial = DATE_PART_FUNCTIONS[name];
    if (partial !== undefined) {
      const [word, ...rest] = call.args;
      const part = word?.kind === 'column' ? datePart(word.parts.join('.')) : undefined;
      if (part === undefined) {
        throw unknownDatePart(word?.kind === 'column' ? word.parts.join('.') : '', name);
      }
      return this.#apply(name, partial(part), rest);
    }
    const known = FUNCTIONS[name];
    if (known !== undefined) {
      return this.#apply(name, known, call.args);
    }
    throw name.includes('.') ? unsupported(`the function ${name}`) : unknownFunction(name);
  }

  #apply(name: string, known: ScalarFunction, args: readonly Expression[]): Compiled {
    if (args.length < known.least || args.length > known.most) {
      throw wrongArgumentCount(name, known.least);
    }
    const compiled = args.map((one) => this.expression(one));
    const types = compiled.map(({ type }) => type);
    const type = typeof known.type === 'function' ? known.type(types) : known.type;
    const evaluate = (frame: Frame): SqlValue =>
      known.evaluate({ values: compiled.map((one) => one.evaluate(frame)), types, run: frame.run });
    const isOnce = known.once === true && args.every(({ kind }) => kind === 'literal' || kind === 'variable');
    return { type: { ...type, nullable: true }, evaluate: isOnce ? rememberedIn(evaluate) : evaluate };
  }

  #coalesce(values: readonly Compiled[]): Compiled {
    const type = meeting(values);
    const converted = values.map((one) => into(one, type));
    return {
      type,
      evaluate: (frame) => {
        for (const evaluate of converted) {
          const value = evaluate(frame);
          if (value !== null) {
            return value;
          }
        }
        return null;
      },
    };
  }

  /** The type is that of the first argument; the second is converted to it. */
  #isNull(values: readonly Compiled[]): Compiled {
    const [first, second] = values;
    if (first === undefined || second === undefined || values.length > 2) {
      throw wrongArgumentCount('isnull', 2);
    }
    const type = first.type.untypedNull === true ? second.type : first.type;
    const otherwise = into(second, type);
    return { type, evaluate: (frame) => first.evaluate(frame) ?? otherwise(frame) };
  }
}

/** Evaluated once in each run of a query, as SQL Server does with what is the same for all rows. */
function rememberedIn(evaluate: (frame: Frame) => SqlValue): (frame: Frame) => SqlValue {
  const key = {};
  return (frame) => {
    const known = frame.memory.get(key) as SqlValue | undefined;
    if (known !== undefined) {
      return known;
    }
    const value = evaluate(frame);
    frame.memory.set(key, value);
    return value;
  };
}

function take<T>(values: Iterable<T>, count: number): T[] {
  const taken: T[] = [];
  for (const value of values) {
    taken.push(value);
    if (taken.length === count) {
      break;
    }
  }
  return taken;
}
