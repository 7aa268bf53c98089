import { unsupported } from '../../errors/fault.js';
import { unknownOption, unknownSetOption } from '../../errors/query-faults.js';
import { retentionOutOfRange, trackingOptionTwice } from '../../errors/object-faults.js';
import {
  type ColumnDefinition,
  type DatabaseSetting,
  type Grant,
  type KeyDefinition,
  type StatementBody,
  type TableBody,
  type TableChange,
} from './ast.js';
import { type QueryParser } from './query.parser.js';
import { type TokenCursor } from './token-cursor.js';

const UNIT_MINUTES = { MINUTES: 1, HOURS: 60, DAYS: 1_440 } as const;

/** CREATE, ALTER, DROP, TRUNCATE and GRANT. */
export class DefinitionParser {
  constructor(
    private readonly cursor: TokenCursor,
    private readonly queries: QueryParser,
  ) {}

  create(): StatementBody {
    const { cursor } = this;
    cursor.expect('CREATE');
    if (cursor.accept('TABLE') !== undefined) {
      return { kind: 'createTable', name: cursor.expectPath(), body: this.tableBody() };
    }
    if (cursor.accept('SCHEMA') !== undefined) {
      const name = cursor.expectName();
      if (cursor.accept('AUTHORIZATION') !== undefined) {
        cursor.expectName();
      }
      return { kind: 'createSchema', name };
    }
    if (cursor.accept('DATABASE') !== undefined) {
      return { kind: 'createDatabase', name: cursor.expectName() };
    }
    if (cursor.accept('USER') !== undefined) {
      const name = cursor.expectName();
      while (cursor.isKeyword('WITHOUT', 'FOR', 'FROM', 'LOGIN') || (cursor.isName && !cursor.isSymbol(';'))) {
        cursor.next();
      }
      return { kind: 'createUser', name };
    }
    if (cursor.isKeyword('VIEW', 'PROC', 'PROCEDURE', 'FUNCTION', 'TRIGGER', 'LOGIN', 'TYPE', 'SEQUENCE', 'OR')) {
      throw unsupported(`CREATE ${cursor.token.keyword}`);
    }
    const unique = cursor.accept('UNIQUE') !== undefined;
    cursor.accept('CLUSTERED', 'NONCLUSTERED');
    cursor.expect('INDEX');
    const name = cursor.expectName();
    cursor.expect('ON');
    const table = cursor.expectPath();
    const columns = this.#keyColumns();
    if (cursor.accept('INCLUDE') !== undefined) {
      this.queries.skipParentheses();
    }
    return { kind: 'createIndex', name, table, unique, columns };
  }

  drop(): StatementBody {
    const { cursor } = this;
    cursor.expect('DROP');
    const what = cursor.expect('TABLE', 'INDEX', 'DATABASE');
    const ifExists = cursor.acceptSequence('IF', 'EXISTS');
    if (what === 'DATABASE') {
      return { kind: 'dropDatabase', names: cursor.list(() => cursor.expectName()), ifExists };
    }
    if (what === 'TABLE') {
      return { kind: 'dropTable', names: cursor.list(() => cursor.expectPath()), ifExists };
    }
    const name = cursor.expectName();
    cursor.expect('ON');
    return { kind: 'dropIndex', name, table: cursor.expectPath(), ifExists };
  }

  alter(): StatementBody {
    const { cursor } = this;
    cursor.expect('ALTER');
    if (cursor.expect('TABLE', 'DATABASE') === 'TABLE') {
      return { kind: 'alterTable', name: cursor.expectPath(), change: this.#tableChange() };
    }
    const name = cursor.accept('CURRENT') === undefined ? cursor.expectName() : undefined;
    cursor.expect('SET');
    const settings = cursor.list(() => this.#databaseSetting());
    if (cursor.acceptSequence('WITH', 'ROLLBACK')) {
      cursor.expect('IMMEDIATE');
    } else {
      cursor.acceptSequence('WITH', 'NO_WAIT');
    }
    return { kind: 'alterDatabase', name, settings };
  }

  grant(): Grant {
    const { cursor } = this;
    const verb = cursor.expect('GRANT', 'DENY', 'REVOKE').toLowerCase() as Grant['verb'];
    const permissions = cursor.list(() => this.#permission());
    let on: Grant['on'];
    if (cursor.accept('ON') !== undefined) {
      const kind = (cursor.accept('OBJECT', 'SCHEMA', 'DATABASE') ?? 'OBJECT').toLowerCase() as 'object';
      cursor.acceptSymbol('::');
      on = { kind, name: cursor.expectPath() };
    }
    const columns = cursor.isSymbol('(') ? cursor.parenthesised(() => cursor.expectName()) : [];
    cursor.expect(...(verb === 'revoke' ? ['FROM', 'TO'] : ['TO']));
    const users = cursor.list(() => cursor.expectName());
    const granted = columns.length === 0 ? permissions : permissions.map(({ name }) => ({ name, columns }));
    return { kind: 'grant', verb, permissions: granted, on, users };
  }

  /** `(column type …, CONSTRAINT …)`. */
  tableBody(): TableBody {
    const { cursor } = this;
    cursor.expectSymbol('(');
    const body = this.#columnsAndKeys();
    cursor.expectSymbol(')');
    if (cursor.accept('ON') !== undefined) {
      cursor.expectName();
    }
    return body;
  }

  #columnsAndKeys(): TableBody {
    const columns: ColumnDefinition[] = [];
    const keys: KeyDefinition[] = [];
    this.cursor.list(() => {
      if (this.cursor.isKeyword('CONSTRAINT', 'PRIMARY', 'UNIQUE', 'FOREIGN', 'CHECK')) {
        keys.push(this.#key([]));
      } else {
        columns.push(this.#column(keys));
      }
    });
    return { columns, keys };
  }

  #column(keys: KeyDefinition[]): ColumnDefinition {
    const { cursor, queries } = this;
    const name = cursor.expectName();
    if (cursor.isKeyword('AS')) {
      throw unsupported('computed columns');
    }
    const type = queries.expressions.type();
    let nullable: boolean | undefined;
    let identity: ColumnDefinition['identity'];
    let fallback: ColumnDefinition['default'];
    let constraint: string | undefined;
    let isKey = false;
    for (;;) {
      if (cursor.accept('CONSTRAINT') !== undefined) {
        constraint = cursor.expectName();
      } else if (cursor.accept('NULL') !== undefined) {
        nullable = true;
      } else if (cursor.acceptSequence('NOT', 'NULL')) {
        nullable = false;
      } else if (cursor.accept('IDENTITY') !== undefined) {
        const [seed = 1, increment = 1] = cursor.isSymbol('(')
          ? cursor.parenthesised(() => cursor.expectInteger())
          : [];
        identity = { seed: BigInt(seed), increment: BigInt(increment) };
      } else if (cursor.accept('DEFAULT') !== undefined) {
        const { from } = cursor.token;
        const value = queries.expressions.expression();
        fallback = { constraint, value, text: cursor.sql.slice(from, cursor.textEnd) };
      } else if (cursor.isKeyword('PRIMARY', 'UNIQUE', 'FOREIGN', 'CHECK', 'REFERENCES')) {
        isKey ||= cursor.isKeyword('PRIMARY');
        keys.push({ ...this.#keyKind(constraint), columns: [name] });
      } else if (cursor.accept('ROWGUIDCOL') === undefined) {
        const known = type.name === 'rowversion' || identity !== undefined || isKey ? false : (nullable ?? true);
        return { name, type: { ...type, nullable: known }, identity, default: fallback };
      }
    }
  }

  #key(before: readonly string[]): KeyDefinition {
    const name = this.cursor.accept('CONSTRAINT') === undefined ? undefined : this.cursor.expectName();
    return { ...this.#keyKind(name), columns: [...before, ...this.#keyColumns()] };
  }

  #keyKind(name: string | undefined): Pick<KeyDefinition, 'kind' | 'name'> {
    if (this.cursor.isKeyword('FOREIGN', 'CHECK', 'REFERENCES')) {
      throw unsupported(`the constraint ${this.cursor.token.keyword}`);
    }
    const primary = this.cursor.expect('PRIMARY', 'UNIQUE') === 'PRIMARY';
    if (primary) {
      this.cursor.expect('KEY');
    }
    this.cursor.accept('CLUSTERED', 'NONCLUSTERED');
    return { name, kind: primary ? 'primary key' : 'unique constraint' };
  }

  #keyColumns(): readonly string[] {
    return this.cursor.parenthesised(() => {
      const name = this.cursor.expectName();
      this.cursor.accept('ASC', 'DESC');
      return name;
    });
  }

  #tableChange(): TableChange {
    const { cursor } = this;
    if (cursor.acceptSequence('ENABLE', 'CHANGE_TRACKING')) {
      return { kind: 'enableTracking', columns: this.#trackColumns() };
    }
    if (cursor.acceptSequence('DISABLE', 'CHANGE_TRACKING')) {
      return { kind: 'disableTracking' };
    }
    if (cursor.acceptSequence('ALTER', 'COLUMN')) {
      return { kind: 'alterColumn', column: this.#column([]) };
    }
    if (cursor.acceptSequence('WITH', 'CHECK') || cursor.isKeyword('ADD')) {
      cursor.expect('ADD');
      return { kind: 'addColumns', body: this.#columnsAndKeys() };
    }
    cursor.expect('DROP');
    if (cursor.accept('COLUMN') !== undefined) {
      cursor.acceptSequence('IF', 'EXISTS');
      return { kind: 'dropColumns', names: cursor.list(() => cursor.expectName()) };
    }
    cursor.accept('CONSTRAINT');
    return { kind: 'dropConstraint', name: cursor.expectName() };
  }

  #trackColumns(): boolean {
    const { cursor } = this;
    if (cursor.accept('WITH') === undefined) {
      return false;
    }
    cursor.expectSymbol('(');
    cursor.expect('TRACK_COLUMNS_UPDATED');
    cursor.expectSymbol('=');
    const on = cursor.expect('ON', 'OFF') === 'ON';
    cursor.expectSymbol(')');
    return on;
  }

  #databaseSetting(): DatabaseSetting {
    const { cursor } = this;
    if (cursor.accept('CHANGE_TRACKING') !== undefined) {
      return this.#tracking();
    }
    if (cursor.accept('ALLOW_SNAPSHOT_ISOLATION') !== undefined) {
      return { kind: 'snapshot', on: cursor.expect('ON', 'OFF') === 'ON' };
    }
    if (cursor.accept('READ_COMMITTED_SNAPSHOT') !== undefined) {
      return { kind: 'readCommittedSnapshot', on: cursor.expect('ON', 'OFF') === 'ON' };
    }
    if (cursor.accept('SINGLE_USER') !== undefined) {
      return { kind: 'singleUser' };
    }
    if (cursor.accept('COMPATIBILITY_LEVEL') !== undefined) {
      cursor.expectSymbol('=');
      return { kind: 'compatibility', level: Number(cursor.next().text) };
    }
    const option = cursor.next();
    if (!/^(?:ANSI_|AUTO_|RECOVERY$|MULTI_USER$|PAGE_VERIFY$)/.test(option.keyword)) {
      throw unknownSetOption(option.text);
    }
    cursor.acceptSymbol('=');
    if (cursor.isKeyword('ON', 'OFF', 'SIMPLE', 'FULL', 'BULK_LOGGED', 'CHECKSUM') || cursor.token.kind === 'number') {
      cursor.next();
    }
    return { kind: 'other' };
  }

  #tracking(): DatabaseSetting {
    const { cursor } = this;
    let turned: 'on' | 'off' | undefined;
    if (cursor.acceptSymbol('=') !== undefined) {
      turned = cursor.expect('ON', 'OFF').toLowerCase() as 'on' | 'off';
    }
    let retention: Extract<DatabaseSetting, { readonly kind: 'tracking' }>['retention'];
    let autoCleanup: boolean | undefined;
    const options = new Set<string>();
    if (turned !== 'off' && cursor.isSymbol('(')) {
      cursor.parenthesised(() => {
        const option = cursor.expect('CHANGE_RETENTION', 'AUTO_CLEANUP');
        if (options.has(option)) {
          throw trackingOptionTwice(option);
        }
        options.add(option);
        cursor.expectSymbol('=');
        if (option === 'AUTO_CLEANUP') {
          autoCleanup = cursor.expect('ON', 'OFF') === 'ON';
        } else {
          retention = this.#retention();
        }
      });
    }
    return { kind: 'tracking', switch: turned, retention, autoCleanup };
  }

  #retention(): Extract<DatabaseSetting, { readonly kind: 'tracking' }>['retention'] {
    const { cursor } = this;
    const period = cursor.expectInteger();
    const unit = cursor.next();
    const known = Object.keys(UNIT_MINUTES).find((one) => one === unit.keyword) as
      keyof typeof UNIT_MINUTES | undefined;
    if (known === undefined) {
      throw unknownOption(unit.text, 'CHANGE RETENTION UNIT', 2);
    }
    if (period < 1 || period * UNIT_MINUTES[known] > 2_147_483_647) {
      throw retentionOutOfRange('CHANGE_RETENTION');
    }
    return { period, unit: known.toLowerCase() as 'minutes' | 'hours' | 'days' };
  }

  #permission(): { readonly name: string; readonly columns: readonly string[] } {
    const { cursor } = this;
    const words: string[] = [];
    while (cursor.token.kind === 'word' && !cursor.isKeyword('ON', 'TO', 'FROM')) {
      words.push(cursor.next().keyword);
    }
    const columns = cursor.isSymbol('(') ? cursor.parenthesised(() => cursor.expectName()) : [];
    return words.length === 0 ? cursor.fail() : { name: words.join(' '), columns };
  }
}
