import { unsupported } from '../../errors/fault.js';
import {
  type CommonTable,
  type Condition,
  type Expression,
  type OrderItem,
  type Query,
  type QueryBody,
  type Select,
  type SelectItem,
  type TableSource,
  type Target,
  type Top,
} from './ast.js';
import { ExpressionParser } from './expression.parser.js';
import { type TokenCursor } from './token-cursor.js';

const JOIN_WORDS = ['JOIN', 'INNER', 'LEFT', 'RIGHT', 'FULL', 'CROSS', 'OUTER'];

/** Queries and what stands in their FROM. */
export class QueryParser {
  readonly expressions: ExpressionParser;

  constructor(private readonly cursor: TokenCursor) {
    this.expressions = new ExpressionParser(cursor, () => this.query());
  }

  query(): Query {
    const commonTables = this.#commonTables();
    if (commonTables.length > 0 && this.cursor.isKeyword('INSERT', 'UPDATE', 'DELETE', 'MERGE')) {
      throw unsupported(`a common table expression before ${this.cursor.token.keyword}`);
    }
    const body = this.#body();
    const orderBy = this.cursor.acceptSequence('ORDER', 'BY') ? this.cursor.list(() => this.#orderItem()) : [];
    const { offset, fetch } = this.#offset(orderBy.length > 0);
    if (this.cursor.accept('OPTION') !== undefined) {
      this.skipParentheses();
    }
    return { body, orderBy, offset, fetch, with: commonTables };
  }

  /** `TOP (n)`, `TOP n`. */
  top(): Top | undefined {
    const { cursor } = this;
    if (cursor.accept('TOP') === undefined) {
      return undefined;
    }
    const count: Expression = cursor.isSymbol('(') ? this.#inParentheses() : this.#bareCount();
    return { count, withTies: cursor.acceptSequence('WITH', 'TIES') };
  }

  selectItems(): readonly SelectItem[] {
    return this.cursor.list(() => this.#selectItem());
  }

  where(): Condition | undefined {
    return this.cursor.accept('WHERE') === undefined ? undefined : this.expressions.condition();
  }

  /** What follows FROM: sources and joins, divided by commas. */
  from(): TableSource {
    let left = this.#joined();
    while (this.cursor.acceptSymbol(',') !== undefined) {
      left = { kind: 'join', type: 'cross', left, right: this.#joined(), on: undefined };
    }
    return left;
  }

  /** What INSERT, UPDATE, DELETE and MERGE write to. */
  target(options: { readonly alias: boolean }): Target {
    const { cursor } = this;
    if (cursor.token.kind === 'variable') {
      return { kind: 'variable', name: cursor.next().text, alias: undefined };
    }
    const name = cursor.expectPath();
    const hintsBefore = this.#hints();
    const alias = options.alias ? this.#alias() : undefined;
    return { kind: 'table', name, alias, hints: [...hintsBefore, ...this.#hints()] };
  }

  /** One source, of MERGE … USING. */
  source(): TableSource {
    return this.#source();
  }

  /** `(…)`, whatever it holds. */
  skipParentheses(): void {
    const { cursor } = this;
    cursor.expectSymbol('(');
    for (let depth = 1; depth > 0; cursor.next()) {
      if (cursor.token.kind === 'end') {
        cursor.fail();
      }
      depth += cursor.isSymbol('(') ? 1 : cursor.isSymbol(')') ? -1 : 0;
    }
  }

  rowOfValues(): readonly Expression[] {
    return this.cursor.parenthesised(() => this.expressions.expression());
  }

  #commonTables(): readonly CommonTable[] {
    const { cursor } = this;
    if (cursor.accept('WITH') === undefined) {
      return [];
    }
    return cursor.list(() => {
      const name = cursor.expectName();
      const columns = this.#columnNames();
      cursor.expect('AS');
      cursor.expectSymbol('(');
      const query = this.query();
      cursor.expectSymbol(')');
      return { name, columns, query };
    });
  }

  #body(): QueryBody {
    let left = this.#operand();
    if (this.cursor.isKeyword('EXCEPT', 'INTERSECT')) {
      throw unsupported(this.cursor.token.keyword);
    }
    while (this.cursor.accept('UNION') !== undefined) {
      const all = this.cursor.accept('ALL') !== undefined;
      left = { kind: 'union', all, left, right: this.#operand() };
    }
    return left;
  }

  #operand(): QueryBody {
    const { cursor } = this;
    if (cursor.acceptSymbol('(') === undefined) {
      return this.#select();
    }
    const inner = this.#body();
    cursor.expectSymbol(')');
    return inner;
  }

  #select(): Select {
    const { cursor } = this;
    cursor.expect('SELECT');
    const distinct = cursor.accept('DISTINCT', 'ALL') === 'DISTINCT';
    const top = this.top();
    const items = this.selectItems();
    const from = cursor.accept('FROM') === undefined ? undefined : this.from();
    const where = this.where();
    const groupBy = cursor.acceptSequence('GROUP', 'BY') ? cursor.list(() => this.expressions.expression()) : [];
    const having = cursor.accept('HAVING') === undefined ? undefined : this.expressions.condition();
    return { kind: 'select', distinct, top, items, from, where, groupBy, having };
  }

  #selectItem(): SelectItem {
    const { cursor } = this;
    const star = this.#star();
    if (star !== undefined) {
      return star;
    }
    if (cursor.token.kind === 'variable' && cursor.ahead(1).text === '=' && cursor.ahead(1).kind === 'symbol') {
      const variable = cursor.next().text;
      cursor.next();
      return { kind: 'assign', variable, value: this.expressions.expression() };
    }
    if (cursor.isName && cursor.ahead(1).kind === 'symbol' && cursor.ahead(1).text === '=') {
      const alias = cursor.expectName();
      cursor.next();
      return { kind: 'value', value: this.expressions.expression(), alias };
    }
    const value = this.expressions.expression();
    const named = cursor.accept('AS') !== undefined;
    const { token } = cursor;
    if (token.kind === 'string' || token.kind === 'nstring') {
      return { kind: 'value', value, alias: cursor.next().text };
    }
    return { kind: 'value', value, alias: named || cursor.isName ? cursor.expectName() : undefined };
  }

  #star(): SelectItem | undefined {
    const { cursor } = this;
    if (cursor.acceptSymbol('*') !== undefined) {
      return { kind: 'star', qualifier: [] };
    }
    const qualifier: string[] = [];
    for (let by = 0; ['word', 'quoted'].includes(cursor.ahead(by).kind); by += 2) {
      if (cursor.ahead(by + 1).text !== '.' || cursor.ahead(by + 1).kind !== 'symbol') {
        return undefined;
      }
      qualifier.push(cursor.ahead(by).text);
      if (cursor.ahead(by + 2).kind === 'symbol' && cursor.ahead(by + 2).text === '*') {
        qualifier.forEach(() => {
          cursor.next();
          cursor.next();
        });
        cursor.next();
        return { kind: 'star', qualifier };
      }
    }
    return undefined;
  }

  #orderItem(): OrderItem {
    const value = this.expressions.expression();
    return { value, descending: this.cursor.accept('ASC', 'DESC') === 'DESC' };
  }

  #offset(ordered: boolean): { readonly offset: Expression | undefined; readonly fetch: Expression | undefined } {
    const { cursor } = this;
    if (!ordered || cursor.accept('OFFSET') === undefined) {
      return { offset: undefined, fetch: undefined };
    }
    const offset = this.expressions.expression();
    cursor.expect('ROW', 'ROWS');
    if (cursor.accept('FETCH') === undefined) {
      return { offset, fetch: undefined };
    }
    cursor.expect('NEXT', 'FIRST');
    const fetch = this.expressions.expression();
    cursor.expect('ROW', 'ROWS');
    cursor.expect('ONLY');
    return { offset, fetch };
  }

  #joined(): TableSource {
    const { cursor } = this;
    let left = this.#source();
    while (cursor.isKeyword(...JOIN_WORDS)) {
      const type = this.#joinType();
      const right = this.#source();
      const on = type.includes('apply') || type === 'cross' ? undefined : this.#on();
      left = { kind: 'join', type, left, right, on };
    }
    return left;
  }

  #on(): Condition {
    this.cursor.expect('ON');
    return this.expressions.condition();
  }

  #joinType(): Extract<TableSource, { readonly kind: 'join' }>['type'] {
    const { cursor } = this;
    const word = cursor.next().keyword;
    if (word === 'JOIN') {
      return 'inner';
    }
    if (word === 'CROSS' || word === 'OUTER') {
      const what = cursor.expect(...(word === 'CROSS' ? ['JOIN', 'APPLY'] : ['APPLY']));
      return what === 'JOIN' ? 'cross' : word === 'CROSS' ? 'cross apply' : 'outer apply';
    }
    if (word !== 'INNER') {
      cursor.accept('OUTER');
    }
    cursor.accept('LOOP', 'HASH', 'MERGE');
    cursor.expect('JOIN');
    return word.toLowerCase() as 'inner' | 'left' | 'right' | 'full';
  }

  #source(): TableSource {
    const { cursor } = this;
    if (cursor.token.kind === 'variable') {
      return { kind: 'variable', name: cursor.next().text, alias: this.#alias() };
    }
    if (cursor.isSymbol('(')) {
      return this.#derived();
    }
    if (cursor.isKeyword('CHANGETABLE') && cursor.ahead(1).text === '(') {
      return this.#changeTable();
    }
    const name = cursor.expectPath();
    const hints =
      cursor.isKeyword('WITH') || (cursor.isSymbol('(') && isHint(cursor.ahead(1).keyword)) ? this.#hints() : [];
    const alias = this.#alias();
    return { kind: 'table', name, alias, hints: [...hints, ...this.#hints()] };
  }

  #derived(): TableSource {
    const { cursor } = this;
    const mark = cursor.mark();
    cursor.expectSymbol('(');
    if (cursor.accept('VALUES') !== undefined) {
      const rows = cursor.list(() => this.rowOfValues());
      cursor.expectSymbol(')');
      const alias = this.#requiredAlias();
      return { kind: 'values', rows, alias, columns: this.#columnNames() };
    }
    if (!cursor.isKeyword('SELECT', 'WITH') && !cursor.isSymbol('(')) {
      const inner = this.from();
      cursor.expectSymbol(')');
      return inner;
    }
    cursor.backTo(mark);
    cursor.expectSymbol('(');
    const query = this.query();
    cursor.expectSymbol(')');
    const alias = this.#requiredAlias();
    return { kind: 'derived', query, alias, columns: this.#columnNames() };
  }

  #changeTable(): TableSource {
    const { cursor } = this;
    cursor.next();
    cursor.expectSymbol('(');
    const kind = cursor.expect('CHANGES', 'VERSION');
    const name = cursor.expectPath();
    cursor.expectSymbol(',');
    if (kind === 'CHANGES') {
      const since = this.#lastSyncVersion();
      if (cursor.acceptSymbol(',') !== undefined) {
        cursor.expect('FORCESEEK');
      }
      cursor.expectSymbol(')');
      const alias = this.#alias();
      return { kind: 'changes', name, since, alias, columns: alias === undefined ? [] : this.#columnNames() };
    }
    const keys = cursor.parenthesised(() => cursor.expectName());
    cursor.expectSymbol(',');
    const values = this.rowOfValues();
    cursor.expectSymbol(')');
    const alias = this.#alias();
    return { kind: 'version', name, keys, values, alias, columns: alias === undefined ? [] : this.#columnNames() };
  }

  /** A literal, a variable or NULL: an expression is a syntax error. */
  #lastSyncVersion(): Expression {
    const { cursor } = this;
    const { token } = cursor;
    const signed = token.kind === 'symbol' && token.text === '-' && cursor.ahead(1).kind === 'number';
    if (!signed && token.kind !== 'number' && token.kind !== 'variable' && token.keyword !== 'NULL') {
      return cursor.fail();
    }
    const next = cursor.ahead(signed ? 2 : 1);
    if (next.kind !== 'symbol' || ![',', ')'].includes(next.text)) {
      cursor.next();
      if (signed) {
        cursor.next();
      }
      return cursor.fail();
    }
    return this.expressions.expression();
  }

  #alias(): string | undefined {
    const { cursor } = this;
    if (cursor.accept('AS') !== undefined) {
      return cursor.expectName();
    }
    return cursor.isName && !cursor.isKeyword('OFFSET', 'USING', 'OUTPUT') ? cursor.expectName() : undefined;
  }

  #requiredAlias(): string {
    return this.#alias() ?? this.cursor.fail();
  }

  #columnNames(): readonly string[] {
    return this.cursor.isSymbol('(') ? this.cursor.parenthesised(() => this.cursor.expectName()) : [];
  }

  /** `WITH (UPDLOCK, INDEX(1))`, and the old form without WITH. */
  #hints(): readonly string[] {
    const { cursor } = this;
    const bare = cursor.isSymbol('(') && isHint(cursor.ahead(1).keyword);
    if (!bare && !(cursor.isKeyword('WITH') && cursor.ahead(1).text === '(')) {
      return [];
    }
    cursor.accept('WITH');
    cursor.expectSymbol('(');
    const hints: string[] = [];
    while (!cursor.isSymbol(')')) {
      hints.push(cursor.next().keyword);
      if (cursor.isSymbol('(')) {
        this.skipParentheses();
      }
      cursor.acceptSymbol(',');
    }
    cursor.expectSymbol(')');
    return hints;
  }

  #inParentheses(): Expression {
    this.cursor.expectSymbol('(');
    const inner = this.expressions.expression();
    this.cursor.expectSymbol(')');
    return inner;
  }

  /** Without parentheses only a number or a variable may follow TOP. */
  #bareCount(): Expression {
    const { token } = this.cursor;
    if (token.kind === 'number') {
      this.cursor.next();
      return { kind: 'literal', value: BigInt(token.text), type: { name: 'bigint', nullable: false } };
    }
    return token.kind === 'variable' ? { kind: 'variable', name: this.cursor.next().text } : this.cursor.fail();
  }
}

const HINTS = [
  'NOLOCK',
  'READUNCOMMITTED',
  'READCOMMITTED',
  'READCOMMITTEDLOCK',
  'REPEATABLEREAD',
  'SERIALIZABLE',
  'HOLDLOCK',
  'UPDLOCK',
  'XLOCK',
  'ROWLOCK',
  'PAGLOCK',
  'TABLOCK',
  'TABLOCKX',
  'READPAST',
  'NOWAIT',
  'SNAPSHOT',
  'FORCESEEK',
  'INDEX',
];

export function isHint(word: string): boolean {
  return HINTS.includes(word);
}
