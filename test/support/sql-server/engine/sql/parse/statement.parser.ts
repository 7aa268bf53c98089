import { type SqlIsolation } from '../../../seam.js';
import { contextWithSelect } from '../../errors/object-faults.js';
import { unknownSetOption, withNeedsSemicolon } from '../../errors/query-faults.js';
import { type Expression, type Name, type Statement, type StatementBody } from './ast.js';
import { ChangeParser } from './change.parser.js';
import { DefinitionParser } from './definition.parser.js';
import { compound, type ExpressionParser } from './expression.parser.js';
import { QueryParser } from './query.parser.js';
import { type TokenCursor } from './token-cursor.js';

const QUERY_WORDS = ['SELECT', 'WITH'];
const CHANGE_WORDS = ['INSERT', 'UPDATE', 'DELETE', 'MERGE'];
/** SET options that change nothing here, as tedious and TypeORM send them. */
const IGNORED_OPTIONS = [
  'ANSI_DEFAULTS',
  'ANSI_NULLS',
  'ANSI_NULL_DFLT_ON',
  'ANSI_NULL_DFLT_OFF',
  'ANSI_PADDING',
  'ANSI_WARNINGS',
  'ARITHABORT',
  'ARITHIGNORE',
  'CONCAT_NULL_YIELDS_NULL',
  'CURSOR_CLOSE_ON_COMMIT',
  'DATEFIRST',
  'DATEFORMAT',
  'FMTONLY',
  'IMPLICIT_TRANSACTIONS',
  'LANGUAGE',
  'NUMERIC_ROUNDABORT',
  'QUERY_GOVERNOR_COST_LIMIT',
  'QUOTED_IDENTIFIER',
  'TEXTSIZE',
];

/** Statements one by one, and the control of flow between them. */
export class StatementParser {
  readonly #queries: QueryParser;
  readonly #expressions: ExpressionParser;
  readonly #changes: ChangeParser;
  readonly #definitions: DefinitionParser;

  constructor(private readonly cursor: TokenCursor) {
    this.#queries = new QueryParser(cursor);
    this.#expressions = this.#queries.expressions;
    this.#changes = new ChangeParser(cursor, this.#queries);
    this.#definitions = new DefinitionParser(cursor, this.#queries);
  }

  batch(): readonly Statement[] {
    return this.#statements(() => this.cursor.token.kind === 'end', true);
  }

  #statements(isEnd: () => boolean, first = false): readonly Statement[] {
    const { cursor } = this;
    const statements: Statement[] = [];
    let terminated = true;
    for (;;) {
      while (cursor.acceptSymbol(';') !== undefined) {
        terminated = true;
      }
      if (isEnd()) {
        return statements;
      }
      if (!terminated && cursor.isKeyword('WITH')) {
        throw withNeedsSemicolon();
      }
      statements.push(first && statements.length === 0 && cursor.isName ? this.#bareCall() : this.#statement());
      terminated = false;
    }
  }

  #statement(): Statement {
    const { line, from } = this.cursor.token;
    const body = this.#body();
    return { ...body, line, text: this.cursor.sql.slice(from, this.cursor.textEnd) };
  }

  #body(): StatementBody {
    const { cursor } = this;
    const word = cursor.token.keyword;
    if (word === 'WITH' && cursor.ahead(1).keyword === 'CHANGE_TRACKING_CONTEXT') {
      return this.#tracked();
    }
    if (QUERY_WORDS.includes(word) || cursor.isSymbol('(')) {
      return { kind: 'query', query: this.#queries.query() };
    }
    if (CHANGE_WORDS.includes(word)) {
      return this.#changes.statement();
    }
    switch (word) {
      case 'DECLARE':
        return this.#declare();
      case 'SET':
        return this.#set();
      case 'IF':
        return this.#if();
      case 'WHILE':
        return this.#while();
      case 'BEGIN':
        return this.#begin();
      case 'COMMIT':
      case 'ROLLBACK':
      case 'SAVE':
        return this.#endTransaction();
      case 'CREATE':
        return this.#definitions.create();
      case 'ALTER':
        return this.#definitions.alter();
      case 'DROP':
        return this.#definitions.drop();
      case 'GRANT':
      case 'DENY':
      case 'REVOKE':
        return this.#definitions.grant();
      case 'TRUNCATE':
        cursor.next();
        cursor.expect('TABLE');
        return { kind: 'truncate', name: cursor.expectPath() };
      case 'EXEC':
      case 'EXECUTE':
        cursor.next();
        return this.#call();
      default:
        return this.#small(word);
    }
  }

  #small(word: string): StatementBody {
    const { cursor } = this;
    switch (word) {
      case 'USE':
        cursor.next();
        return { kind: 'use', database: cursor.expectName() };
      case 'PRINT':
        cursor.next();
        return { kind: 'print', value: this.#expressions.expression() };
      case 'THROW':
        cursor.next();
        return { kind: 'throw', args: cursor.isSymbol(';') || this.#isOver() ? [] : this.#arguments() };
      case 'RAISERROR':
        cursor.next();
        return this.#raiserror();
      case 'RETURN':
        cursor.next();
        if (!cursor.isSymbol(';') && !this.#isOver()) {
          this.#expressions.expression();
        }
        return { kind: 'return' };
      case 'BREAK':
      case 'CONTINUE':
        cursor.next();
        return { kind: word === 'BREAK' ? 'break' : 'continue' };
      default:
        return cursor.fail();
    }
  }

  #tracked(): StatementBody {
    const { cursor } = this;
    cursor.next();
    cursor.next();
    cursor.expectSymbol('(');
    if (cursor.token.kind !== 'variable' && cursor.token.kind !== 'binary') {
      cursor.fail();
    }
    const context = this.#expressions.expression();
    cursor.expectSymbol(')');
    if (cursor.isKeyword('SELECT')) {
      throw contextWithSelect();
    }
    return { kind: 'tracked', context, statement: this.#changes.statement() };
  }

  #declare(): StatementBody {
    const { cursor } = this;
    cursor.expect('DECLARE');
    const mark = cursor.mark();
    const name = cursor.expectVariable();
    cursor.accept('AS');
    if (cursor.accept('TABLE') !== undefined) {
      return { kind: 'declareTable', name, body: this.#definitions.tableBody() };
    }
    cursor.backTo(mark);
    const variables = cursor.list(() => {
      const variable = cursor.expectVariable();
      cursor.accept('AS');
      const type = this.#expressions.type();
      const value = cursor.acceptSymbol('=') === undefined ? undefined : this.#expressions.expression();
      return { name: variable, type, value };
    });
    return { kind: 'declare', variables };
  }

  #set(): StatementBody {
    const { cursor } = this;
    cursor.expect('SET');
    if (cursor.token.kind === 'variable') {
      return this.#setVariable();
    }
    if (cursor.acceptSequence('TRANSACTION', 'ISOLATION', 'LEVEL')) {
      return { kind: 'setIsolation', level: this.#isolation() };
    }
    if (cursor.accept('IDENTITY_INSERT') !== undefined) {
      return { kind: 'setIdentityInsert', table: cursor.expectPath(), on: cursor.expect('ON', 'OFF') === 'ON' };
    }
    if (cursor.isKeyword('LOCK_TIMEOUT', 'ROWCOUNT')) {
      const name = cursor.next().keyword as 'LOCK_TIMEOUT' | 'ROWCOUNT';
      return { kind: 'setNumber', name, value: this.#expressions.expression() };
    }
    if (cursor.accept('DEADLOCK_PRIORITY') !== undefined) {
      return { kind: 'setNumber', name: 'DEADLOCK_PRIORITY', value: this.#priority() };
    }
    const names = cursor.list(() => this.#optionName());
    const value = cursor.token.kind === 'end' ? cursor.fail() : cursor.next().text;
    return { kind: 'setOption', names, value };
  }

  #optionName(): string {
    const { cursor } = this;
    const option = cursor.next();
    if (option.keyword === 'STATISTICS') {
      cursor.expect('IO', 'TIME', 'XML');
      return 'STATISTICS';
    }
    if (!IGNORED_OPTIONS.includes(option.keyword) && !['XACT_ABORT', 'NOCOUNT'].includes(option.keyword)) {
      throw unknownSetOption(option.text);
    }
    return option.keyword;
  }

  #setVariable(): StatementBody {
    const { cursor } = this;
    const variable = cursor.expectVariable();
    const operator = cursor.expectSymbol('=', '+=', '-=', '*=', '/=', '%=');
    const value = this.#expressions.expression();
    return { kind: 'set', variable, value: compound(operator, { kind: 'variable', name: variable }, value) };
  }

  #priority(): Expression {
    const { cursor } = this;
    const word = cursor.accept('LOW', 'NORMAL', 'HIGH');
    const named = word === 'LOW' ? -5n : word === 'HIGH' ? 5n : 0n;
    return word === undefined
      ? this.#expressions.expression()
      : { kind: 'literal', value: named, type: { name: 'int', nullable: false } };
  }

  #isolation(): SqlIsolation {
    const { cursor } = this;
    const word = cursor.expect('READ', 'REPEATABLE', 'SERIALIZABLE', 'SNAPSHOT');
    if (word === 'READ') {
      return cursor.expect('COMMITTED', 'UNCOMMITTED') === 'COMMITTED' ? 'read committed' : 'read uncommitted';
    }
    if (word === 'REPEATABLE') {
      cursor.expect('READ');
      return 'repeatable read';
    }
    return word === 'SNAPSHOT' ? 'snapshot' : 'serializable';
  }

  #if(): StatementBody {
    const { cursor } = this;
    cursor.expect('IF');
    const condition = this.#expressions.condition();
    const chosen = this.#statement();
    const mark = cursor.mark();
    cursor.acceptSymbol(';');
    if (cursor.accept('ELSE') !== undefined) {
      return { kind: 'if', condition, chosen, otherwise: this.#statement() };
    }
    cursor.backTo(mark);
    return { kind: 'if', condition, chosen, otherwise: undefined };
  }

  #while(): StatementBody {
    this.cursor.expect('WHILE');
    const condition = this.#expressions.condition();
    return { kind: 'while', condition, body: this.#statement() };
  }

  #begin(): StatementBody {
    const { cursor } = this;
    cursor.expect('BEGIN');
    if (cursor.accept('TRAN', 'TRANSACTION') !== undefined) {
      return { kind: 'begin', name: this.#transactionName() };
    }
    const trying = cursor.accept('TRY') !== undefined;
    const statements = this.#statements(() => cursor.isKeyword('END'));
    cursor.expect('END');
    if (!trying) {
      return { kind: 'block', statements };
    }
    cursor.expect('TRY');
    cursor.acceptSymbol(';');
    cursor.expect('BEGIN');
    cursor.expect('CATCH');
    const handler = this.#statements(() => cursor.isKeyword('END'));
    cursor.expect('END');
    cursor.expect('CATCH');
    return { kind: 'try', body: statements, handler };
  }

  #endTransaction(): StatementBody {
    const { cursor } = this;
    const kind = cursor.expect('COMMIT', 'ROLLBACK', 'SAVE').toLowerCase() as 'commit' | 'rollback' | 'save';
    if (kind === 'save') {
      cursor.expect('TRAN', 'TRANSACTION');
    } else if (cursor.accept('TRAN', 'TRANSACTION') === undefined) {
      cursor.accept('WORK');
      return { kind, name: undefined };
    }
    return { kind, name: kind === 'save' ? (this.#transactionName() ?? cursor.fail()) : this.#transactionName() };
  }

  #transactionName(): string | undefined {
    const { cursor } = this;
    return cursor.isName || cursor.token.kind === 'variable' ? cursor.next().text : undefined;
  }

  #bareCall(): Statement {
    const { line, from } = this.cursor.token;
    const body = this.#call();
    return { ...body, line, text: this.cursor.sql.slice(from, this.cursor.textEnd) };
  }

  #call(): StatementBody {
    const { cursor } = this;
    if (cursor.acceptSymbol('(') !== undefined) {
      const sql = this.#expressions.expression();
      cursor.expectSymbol(')');
      return { kind: 'executeText', sql };
    }
    const name: Name = cursor.expectPath();
    const args = cursor.isSymbol(';') || this.#isOver() ? [] : cursor.list(() => this.#argument());
    return { kind: 'execute', name, args };
  }

  #argument(): { readonly name: string | undefined; readonly value: Expression } {
    const { cursor } = this;
    const named = cursor.token.kind === 'variable' && cursor.ahead(1).text === '=';
    const name = named ? cursor.next().text : undefined;
    if (named) {
      cursor.next();
    }
    const value: Expression =
      cursor.isName && cursor.token.kind === 'word'
        ? { kind: 'literal', value: cursor.next().text, type: { name: 'nvarchar', length: 4_000, nullable: true } }
        : this.#expressions.expression();
    cursor.accept('OUTPUT', 'OUT');
    return { name, value };
  }

  #raiserror(): StatementBody {
    const args = this.cursor.parenthesised(() => this.#expressions.expression());
    if (this.cursor.accept('WITH') !== undefined) {
      this.cursor.expect('NOWAIT', 'LOG', 'SETERROR');
    }
    return { kind: 'raiserror', args };
  }

  #arguments(): readonly Expression[] {
    return this.cursor.list(() => this.#expressions.expression());
  }

  /** Nothing that could belong to the statement follows. */
  #isOver(): boolean {
    const { cursor } = this;
    return cursor.token.kind === 'end' || cursor.isKeyword('END', 'ELSE', 'SELECT', 'COMMIT', 'ROLLBACK', 'IF', 'SET');
  }
}
