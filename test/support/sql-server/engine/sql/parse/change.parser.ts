import { mergeNeedsSemicolon } from '../../errors/query-faults.js';
import {
  type Assignment,
  type Delete,
  type Insert,
  type Merge,
  type MergeAction,
  type MergeBranch,
  type Output,
  type Update,
} from './ast.js';
import { compound } from './expression.parser.js';
import { type QueryParser } from './query.parser.js';
import { type TokenCursor } from './token-cursor.js';

/** INSERT, UPDATE, DELETE and MERGE. */
export class ChangeParser {
  constructor(
    private readonly cursor: TokenCursor,
    private readonly queries: QueryParser,
  ) {}

  statement(): Insert | Update | Delete | Merge {
    switch (this.cursor.expect('INSERT', 'UPDATE', 'DELETE', 'MERGE')) {
      case 'INSERT':
        return this.#insert();
      case 'UPDATE':
        return this.#update();
      case 'DELETE':
        return this.#delete();
      default:
        return this.#merge();
    }
  }

  #insert(): Insert {
    const { cursor, queries } = this;
    cursor.accept('INTO');
    const target = queries.target({ alias: false });
    const columns = cursor.isSymbol('(') && cursor.ahead(1).keyword !== 'SELECT' ? this.#names() : [];
    const output = this.#output();
    if (cursor.acceptSequence('DEFAULT', 'VALUES')) {
      return { kind: 'insert', target, columns, output, source: 'defaults' };
    }
    const source = cursor.accept('VALUES') === undefined ? queries.query() : cursor.list(() => queries.rowOfValues());
    return { kind: 'insert', target, columns, output, source };
  }

  #update(): Update {
    const { cursor, queries } = this;
    const top = queries.top();
    const target = queries.target({ alias: false });
    cursor.expect('SET');
    const set = cursor.list(() => this.#assignment());
    const output = this.#output();
    const from = cursor.accept('FROM') === undefined ? undefined : queries.from();
    return { kind: 'update', target, top, set, output, from, where: queries.where() };
  }

  #delete(): Delete {
    const { cursor, queries } = this;
    const top = queries.top();
    cursor.accept('FROM');
    const target = queries.target({ alias: false });
    const output = this.#output();
    const from = cursor.accept('FROM') === undefined ? undefined : queries.from();
    return { kind: 'delete', target, top, output, from, where: queries.where() };
  }

  #merge(): Merge {
    const { cursor, queries } = this;
    cursor.accept('INTO');
    const target = queries.target({ alias: true });
    cursor.expect('USING');
    const source = queries.source();
    cursor.expect('ON');
    const on = queries.expressions.condition();
    const branches: MergeBranch[] = [];
    while (cursor.accept('WHEN') !== undefined) {
      branches.push(this.#branch());
    }
    const output = this.#output();
    if (cursor.acceptSymbol(';') === undefined) {
      throw mergeNeedsSemicolon();
    }
    return { kind: 'merge', target, source, on, branches, output };
  }

  #branch(): MergeBranch {
    const { cursor, queries } = this;
    let when: MergeBranch['when'] = 'matched';
    if (cursor.accept('NOT') !== undefined) {
      cursor.expect('MATCHED');
      when = 'not matched';
      if (cursor.accept('BY') !== undefined) {
        when = cursor.expect('SOURCE', 'TARGET') === 'SOURCE' ? 'not matched by source' : 'not matched';
      }
    } else {
      cursor.expect('MATCHED');
    }
    const and = cursor.accept('AND') === undefined ? undefined : queries.expressions.condition();
    cursor.expect('THEN');
    return { when, and, action: this.#action() };
  }

  #action(): MergeAction {
    const { cursor, queries } = this;
    switch (cursor.expect('UPDATE', 'DELETE', 'INSERT')) {
      case 'UPDATE':
        cursor.expect('SET');
        return { kind: 'update', set: cursor.list(() => this.#assignment()) };
      case 'DELETE':
        return { kind: 'delete' };
      default: {
        const columns = cursor.isSymbol('(') ? this.#names() : [];
        cursor.expect('VALUES');
        return { kind: 'insert', columns, values: queries.rowOfValues() };
      }
    }
  }

  /** `column = value`, `@v = value`, `@v = column = value`, and the compound operators. */
  #assignment(): Assignment {
    const { cursor, queries } = this;
    if (cursor.token.kind === 'variable') {
      const variable = cursor.next().text;
      cursor.expectSymbol('=');
      const isColumn = cursor.isName && cursor.ahead(1).kind === 'symbol' && cursor.ahead(1).text === '=';
      if (!isColumn) {
        return { column: undefined, variable, value: queries.expressions.expression() };
      }
      const column = cursor.expectPath();
      cursor.next();
      return { column, variable, value: queries.expressions.expression() };
    }
    const column = cursor.expectPath();
    const operator = cursor.expectSymbol('=', '+=', '-=', '*=', '/=', '%=');
    const right = queries.expressions.expression();
    return { column, variable: undefined, value: compound(operator, { kind: 'column', parts: column }, right) };
  }

  #output(): Output | undefined {
    const { cursor, queries } = this;
    if (cursor.accept('OUTPUT') === undefined) {
      return undefined;
    }
    const items = queries.selectItems();
    if (cursor.accept('INTO') === undefined) {
      return { items, into: undefined };
    }
    const table = cursor.token.kind === 'variable' ? cursor.next().text : cursor.expectPath();
    return { items, into: { table, columns: cursor.isSymbol('(') ? this.#names() : [] } };
  }

  #names(): readonly string[] {
    return this.cursor.parenthesised(() => this.cursor.expectPath().at(-1) ?? '');
  }
}
