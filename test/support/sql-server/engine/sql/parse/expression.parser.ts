import { EngineFault, unsupported } from '../../errors/fault.js';
import { notBoolean, unknownType } from '../../errors/query-faults.js';
import {
  BIGINT,
  decimal,
  declaredType,
  FLOAT,
  INT,
  NULL_TYPE,
  nvarchar,
  type ValueType,
  varbinary,
  varchar,
} from '../../values/value-type.js';
import { type Comparison, type Condition, type Expression, type Query } from './ast.js';
import { isReserved } from './lexer.js';
import { type TokenCursor } from './token-cursor.js';

/** Reads queries inside of expressions; the parser of queries gives itself. */
export type QueryReader = (cursor: TokenCursor) => Query;

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  '=': '=',
  '<>': '<>',
  '!=': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
  '!<': '>=',
  '!>': '<=',
};
/** Reserved words that are called like functions. */
const CALLABLE = ['LEFT', 'RIGHT', 'COALESCE', 'NULLIF', 'USER', 'CHECKSUM'];
const BARE_CALLS = ['CURRENT_TIMESTAMP', 'CURRENT_USER', 'SESSION_USER', 'SYSTEM_USER', 'USER'];

/** Expressions and conditions by recursive descent; SQL Server keeps the two apart, and so does this. */
export class ExpressionParser {
  constructor(
    private readonly cursor: TokenCursor,
    private readonly readQuery: QueryReader,
  ) {}

  condition(): Condition {
    let left = this.#and();
    while (this.cursor.accept('OR') !== undefined) {
      left = { kind: 'or', left, right: this.#and() };
    }
    return left;
  }

  expression(): Expression {
    let left = this.#term();
    for (let operator = this.#operator('+', '-', '&', '|', '^'); operator !== undefined;) {
      left = { kind: 'arithmetic', operator, left, right: this.#term() };
      operator = this.#operator('+', '-', '&', '|', '^');
    }
    return left;
  }

  /** A type as a declaration writes it. @throws 243 */
  type(options: { readonly cast?: boolean } = {}): ValueType {
    const name = this.typeName();
    const type = declaredType(name, this.typeArguments(), options);
    if (type === undefined) {
      throw unknownType(name);
    }
    return this.cursor.accept('COLLATE') === undefined ? type : collated(type, this.cursor.expectName());
  }

  typeName(): string {
    const name = this.cursor.token.keyword === 'NATIONAL' ? this.cursor.next().text : this.cursor.expectName();
    if (this.cursor.acceptSymbol('.') !== undefined) {
      return this.cursor.expectName();
    }
    return name;
  }

  typeArguments(): readonly (number | 'max')[] {
    return this.cursor.isSymbol('(')
      ? this.cursor.parenthesised(() =>
          this.cursor.accept('MAX') === undefined ? this.cursor.expectInteger() : ('max' as const),
        )
      : [];
  }

  #and(): Condition {
    let left = this.#not();
    while (this.cursor.accept('AND') !== undefined) {
      left = { kind: 'and', left, right: this.#not() };
    }
    return left;
  }

  #not(): Condition {
    return this.cursor.accept('NOT') === undefined ? this.#predicate() : { kind: 'not', operand: this.#not() };
  }

  #predicate(): Condition {
    const { cursor } = this;
    if (cursor.accept('EXISTS') !== undefined) {
      return { kind: 'exists', query: this.#queryInParentheses() };
    }
    const grouped = this.#groupedCondition();
    if (grouped !== undefined) {
      return grouped;
    }
    const operand = this.expression();
    const comparison = cursor.token.kind === 'symbol' ? COMPARISONS[cursor.token.text] : undefined;
    if (comparison !== undefined) {
      cursor.next();
      return { kind: 'compare', operator: comparison, left: operand, right: this.expression() };
    }
    if (cursor.accept('IS') !== undefined) {
      const negated = cursor.accept('NOT') !== undefined;
      cursor.expect('NULL');
      return { kind: 'isNull', operand, negated };
    }
    const negated = cursor.accept('NOT') !== undefined;
    if (cursor.accept('IN') !== undefined) {
      return { kind: 'in', operand, list: this.#inList(), negated };
    }
    if (cursor.accept('LIKE') !== undefined) {
      const pattern = this.expression();
      const escape = cursor.accept('ESCAPE') === undefined ? undefined : this.expression();
      return { kind: 'like', operand, pattern, escape, negated };
    }
    if (cursor.accept('BETWEEN') !== undefined) {
      const low = this.expression();
      cursor.expect('AND');
      return { kind: 'between', operand, low, high: this.expression(), negated };
    }
    return negated || cursor.token.kind === 'end' ? cursor.fail() : this.#failNotBoolean();
  }

  /** `(a = 1 OR b = 2)`: parentheses around a condition, unless an expression goes on after them. */
  #groupedCondition(): Condition | undefined {
    const { cursor } = this;
    if (!cursor.isSymbol('(')) {
      return undefined;
    }
    const mark = cursor.mark();
    try {
      cursor.next();
      const inner = this.condition();
      cursor.expectSymbol(')');
      return inner;
    } catch (error) {
      if (!(error instanceof EngineFault)) {
        throw error;
      }
      cursor.backTo(mark);
      return undefined;
    }
  }

  #inList(): readonly Expression[] | Query {
    return this.#isQueryAhead() ? this.#queryInParentheses() : this.cursor.parenthesised(() => this.expression());
  }

  #term(): Expression {
    let left = this.#unary();
    for (let operator = this.#operator('*', '/', '%'); operator !== undefined;) {
      left = { kind: 'arithmetic', operator, left, right: this.#unary() };
      operator = this.#operator('*', '/', '%');
    }
    return left;
  }

  #unary(): Expression {
    const operator = this.cursor.acceptSymbol('-', '+', '~');
    if (operator !== undefined) {
      return folded({ kind: 'unary', operator: operator as '-' | '+' | '~', operand: this.#unary() });
    }
    let operand = this.#primary();
    while (this.cursor.accept('COLLATE') !== undefined) {
      operand = { kind: 'collate', operand, collation: this.cursor.expectName() };
    }
    return operand;
  }

  #primary(): Expression {
    const { cursor } = this;
    const { token } = cursor;
    switch (token.kind) {
      case 'string':
        cursor.next();
        return { kind: 'literal', value: token.text, type: varchar(Math.max(1, token.text.length)) };
      case 'nstring':
        cursor.next();
        return { kind: 'literal', value: token.text, type: nvarchar(Math.max(1, token.text.length)) };
      case 'number':
        cursor.next();
        return numberLiteral(token.text);
      case 'binary': {
        cursor.next();
        const hex = token.text.length % 2 === 0 ? token.text : `0${token.text}`;
        const value = new Uint8Array(Buffer.from(hex, 'hex'));
        return { kind: 'literal', value, type: varbinary(Math.max(1, value.length)) };
      }
      case 'variable':
        cursor.next();
        return { kind: 'variable', name: token.text };
      case 'symbol':
        return this.#parenthesised();
      case 'quoted':
        return this.#columnOrCall();
      case 'word':
        return this.#word();
      case 'end':
      default:
        return cursor.fail();
    }
  }

  #parenthesised(): Expression {
    const { cursor } = this;
    if (this.#isQueryAhead()) {
      return { kind: 'subquery', query: this.#queryInParentheses() };
    }
    cursor.expectSymbol('(');
    const inner = this.expression();
    cursor.expectSymbol(')');
    return inner;
  }

  #word(): Expression {
    const { cursor } = this;
    const word = cursor.token.keyword;
    if (word === 'NULL') {
      cursor.next();
      return { kind: 'literal', value: null, type: NULL_TYPE };
    }
    if (word === 'DEFAULT') {
      cursor.next();
      return { kind: 'default' };
    }
    if (word === 'CASE') {
      return this.#case();
    }
    const opens = cursor.ahead(1).text === '(' && cursor.ahead(1).kind === 'symbol';
    if (opens && ['CAST', 'TRY_CAST'].includes(word)) {
      return this.#cast(word === 'TRY_CAST');
    }
    if (opens && ['CONVERT', 'TRY_CONVERT'].includes(word)) {
      return this.#convert(word === 'TRY_CONVERT');
    }
    if (opens && word === 'IIF') {
      return this.#iif();
    }
    if (opens && CALLABLE.includes(word)) {
      return this.#call(cursor.next().text);
    }
    if (BARE_CALLS.includes(word)) {
      cursor.next();
      return { kind: 'call', name: word.toLowerCase(), args: [], star: false, distinct: false };
    }
    return isReserved(cursor.token) ? cursor.fail() : this.#columnOrCall();
  }

  #columnOrCall(): Expression {
    const { cursor } = this;
    const parts = cursor.expectPath();
    return cursor.isSymbol('(') ? this.#call(parts.join('.')) : { kind: 'column', parts };
  }

  #call(name: string): Expression {
    const { cursor } = this;
    cursor.expectSymbol('(');
    const lower = name.toLowerCase();
    if (cursor.acceptSymbol('*') !== undefined) {
      cursor.expectSymbol(')');
      return { kind: 'call', name: lower, args: [], star: true, distinct: false };
    }
    const distinct = cursor.accept('DISTINCT', 'ALL') === 'DISTINCT';
    const args = cursor.isSymbol(')') ? [] : cursor.list(() => this.expression());
    cursor.expectSymbol(')');
    if (cursor.isKeyword('OVER')) {
      throw unsupported('window functions');
    }
    return { kind: 'call', name: lower, args, star: false, distinct };
  }

  #case(): Expression {
    const { cursor } = this;
    cursor.expect('CASE');
    const operand = cursor.isKeyword('WHEN') ? undefined : this.expression();
    const branches = [];
    while (cursor.accept('WHEN') !== undefined) {
      const when = operand === undefined ? this.condition() : this.expression();
      cursor.expect('THEN');
      branches.push({ when, value: this.expression() });
    }
    const otherwise = cursor.accept('ELSE') === undefined ? undefined : this.expression();
    cursor.expect('END');
    return { kind: 'case', operand, branches, otherwise };
  }

  #iif(): Expression {
    const { cursor } = this;
    cursor.next();
    cursor.expectSymbol('(');
    const condition = this.condition();
    cursor.expectSymbol(',');
    const value = this.expression();
    cursor.expectSymbol(',');
    const otherwise = this.expression();
    cursor.expectSymbol(')');
    return { kind: 'iif', condition, value, otherwise };
  }

  #cast(trying: boolean): Expression {
    const { cursor } = this;
    cursor.next();
    cursor.expectSymbol('(');
    const operand = this.expression();
    cursor.expect('AS');
    const type = this.type({ cast: true });
    cursor.expectSymbol(')');
    return { kind: 'cast', operand, type, trying, style: undefined };
  }

  #convert(trying: boolean): Expression {
    const { cursor } = this;
    cursor.next();
    cursor.expectSymbol('(');
    const type = this.type({ cast: true });
    cursor.expectSymbol(',');
    const operand = this.expression();
    const style = cursor.acceptSymbol(',') === undefined ? undefined : cursor.expectInteger();
    cursor.expectSymbol(')');
    return { kind: 'cast', operand, type, trying, style };
  }

  #isQueryAhead(): boolean {
    let by = 0;
    while (this.cursor.ahead(by).kind === 'symbol' && this.cursor.ahead(by).text === '(') {
      by++;
    }
    return by > 0 && this.cursor.ahead(by).keyword === 'SELECT';
  }

  #queryInParentheses(): Query {
    this.cursor.expectSymbol('(');
    const query = this.readQuery(this.cursor);
    this.cursor.expectSymbol(')');
    return query;
  }

  #operator<T extends string>(...symbols: readonly T[]): T | undefined {
    return this.cursor.acceptSymbol(...symbols) as T | undefined;
  }

  #failNotBoolean(): never {
    throw notBoolean(this.cursor.token.text);
  }
}

/** `@a += b` is `@a = @a + b`. */
export function compound(operator: string, left: Expression, right: Expression): Expression {
  return operator === '=' ? right : { kind: 'arithmetic', operator: operator.slice(0, -1) as '+', left, right };
}

/** A type with the collation of that name: by its suffix. */
export function collated(type: ValueType, collation: string): ValueType {
  if (/_BIN2?$/i.test(collation)) {
    return { ...type, collation: 'bin' };
  }
  return { ...type, collation: /_CS(?:_|$)/i.test(collation) ? 'cs' : 'ci' };
}

function numberLiteral(text: string): Expression {
  if (/e/i.test(text)) {
    return { kind: 'literal', value: Number(text), type: FLOAT };
  }
  if (text.includes('.')) {
    const [whole = '', fraction = ''] = text.split('.');
    const digits = whole.replace(/^0+/, '');
    const type = decimal(Math.max(1, digits.length + fraction.length), fraction.length);
    return { kind: 'literal', value: `${digits === '' ? '0' : digits}${fraction === '' ? '' : `.${fraction}`}`, type };
  }
  const value = BigInt(text);
  if (value > 2_147_483_647n) {
    return value > 9_223_372_036_854_775_807n
      ? { kind: 'literal', value: text, type: decimal(text.length, 0) }
      : { kind: 'literal', value, type: BIGINT };
  }
  return { kind: 'literal', value, type: INT };
}

/** A sign before a number belongs to it. */
function folded(expression: Expression & { readonly kind: 'unary' }): Expression {
  const { operator, operand } = expression;
  if (operator === '-' && operand.kind === 'literal' && typeof operand.value === 'bigint') {
    return { ...operand, value: -operand.value };
  }
  return expression;
}
