import { type SqlIsolation, type SqlValue } from '../../../seam.js';
import { type ValueType } from '../../values/value-type.js';

/** `[database.][schema.]name`, as it was written. */
export type Name = readonly string[];

export type Expression =
  | { readonly kind: 'literal'; readonly value: SqlValue; readonly type: ValueType }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'column'; readonly parts: Name }
  | { readonly kind: 'unary'; readonly operator: '-' | '+' | '~'; readonly operand: Expression }
  | {
      readonly kind: 'arithmetic';
      readonly operator: '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^';
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: 'case';
      readonly operand: Expression | undefined;
      readonly branches: readonly { readonly when: Expression | Condition; readonly value: Expression }[];
      readonly otherwise: Expression | undefined;
    }
  | {
      readonly kind: 'call';
      readonly name: string;
      readonly args: readonly Expression[];
      readonly star: boolean;
      readonly distinct: boolean;
    }
  | { readonly kind: 'iif'; readonly condition: Condition; readonly value: Expression; readonly otherwise: Expression }
  | {
      readonly kind: 'cast';
      readonly operand: Expression;
      readonly type: ValueType;
      readonly trying: boolean;
      /** Of CONVERT: how dates, money and binaries are written as text. */
      readonly style: number | undefined;
    }
  | { readonly kind: 'subquery'; readonly query: Query }
  | { readonly kind: 'collate'; readonly operand: Expression; readonly collation: string }
  | { readonly kind: 'default' };

export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>=';

export type Condition =
  | { readonly kind: 'compare'; readonly operator: Comparison; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'and' | 'or'; readonly left: Condition; readonly right: Condition }
  | { readonly kind: 'not'; readonly operand: Condition }
  | { readonly kind: 'isNull'; readonly operand: Expression; readonly negated: boolean }
  | {
      readonly kind: 'in';
      readonly operand: Expression;
      readonly list: readonly Expression[] | Query;
      readonly negated: boolean;
    }
  | {
      readonly kind: 'like';
      readonly operand: Expression;
      readonly pattern: Expression;
      readonly escape: Expression | undefined;
      readonly negated: boolean;
    }
  | {
      readonly kind: 'between';
      readonly operand: Expression;
      readonly low: Expression;
      readonly high: Expression;
      readonly negated: boolean;
    }
  | { readonly kind: 'exists'; readonly query: Query };

export type SelectItem =
  | { readonly kind: 'star'; readonly qualifier: Name }
  | { readonly kind: 'value'; readonly value: Expression; readonly alias: string | undefined }
  | { readonly kind: 'assign'; readonly variable: string; readonly value: Expression };

export interface OrderItem {
  readonly value: Expression;
  readonly descending: boolean;
}

export interface Top {
  readonly count: Expression;
  readonly withTies: boolean;
}

export interface Select {
  readonly kind: 'select';
  readonly distinct: boolean;
  readonly top: Top | undefined;
  readonly items: readonly SelectItem[];
  readonly from: TableSource | undefined;
  readonly where: Condition | undefined;
  readonly groupBy: readonly Expression[];
  readonly having: Condition | undefined;
}

export type QueryBody =
  Select | { readonly kind: 'union'; readonly all: boolean; readonly left: QueryBody; readonly right: QueryBody };

export interface Query {
  readonly body: QueryBody;
  readonly orderBy: readonly OrderItem[];
  readonly offset: Expression | undefined;
  readonly fetch: Expression | undefined;
  readonly with: readonly CommonTable[];
}

/** A common table expression. */
export interface CommonTable {
  readonly name: string;
  readonly columns: readonly string[];
  readonly query: Query;
}

export type TableSource =
  | {
      readonly kind: 'table';
      readonly name: Name;
      readonly alias: string | undefined;
      readonly hints: readonly string[];
    }
  | { readonly kind: 'variable'; readonly name: string; readonly alias: string | undefined }
  | { readonly kind: 'derived'; readonly query: Query; readonly alias: string; readonly columns: readonly string[] }
  | {
      readonly kind: 'values';
      readonly rows: readonly (readonly Expression[])[];
      readonly alias: string;
      readonly columns: readonly string[];
    }
  | {
      readonly kind: 'changes';
      readonly name: Name;
      readonly since: Expression;
      readonly alias: string | undefined;
      readonly columns: readonly string[];
    }
  | {
      readonly kind: 'version';
      readonly name: Name;
      readonly keys: readonly string[];
      readonly values: readonly Expression[];
      readonly alias: string | undefined;
      readonly columns: readonly string[];
    }
  | {
      readonly kind: 'join';
      readonly type: 'inner' | 'left' | 'right' | 'full' | 'cross' | 'cross apply' | 'outer apply';
      readonly left: TableSource;
      readonly right: TableSource;
      readonly on: Condition | undefined;
    };

/** `OUTPUT … [INTO …]`. */
export interface Output {
  readonly items: readonly SelectItem[];
  readonly into: { readonly table: Name | string; readonly columns: readonly string[] } | undefined;
}

/** The right side of a SET in UPDATE. */
export interface Assignment {
  readonly column: Name | undefined;
  readonly variable: string | undefined;
  readonly value: Expression;
}

export type Target = Extract<TableSource, { readonly kind: 'table' | 'variable' }>;

export interface Insert {
  readonly kind: 'insert';
  readonly target: Target;
  readonly columns: readonly string[];
  readonly output: Output | undefined;
  readonly source: readonly (readonly Expression[])[] | Query | 'defaults';
}

export interface Update {
  readonly kind: 'update';
  readonly target: Target;
  readonly top: Top | undefined;
  readonly set: readonly Assignment[];
  readonly output: Output | undefined;
  readonly from: TableSource | undefined;
  readonly where: Condition | undefined;
}

export interface Delete {
  readonly kind: 'delete';
  readonly target: Target;
  readonly top: Top | undefined;
  readonly output: Output | undefined;
  readonly from: TableSource | undefined;
  readonly where: Condition | undefined;
}

export type MergeAction =
  | { readonly kind: 'update'; readonly set: readonly Assignment[] }
  | { readonly kind: 'delete' }
  | { readonly kind: 'insert'; readonly columns: readonly string[]; readonly values: readonly Expression[] };

export interface MergeBranch {
  readonly when: 'matched' | 'not matched' | 'not matched by source';
  readonly and: Condition | undefined;
  readonly action: MergeAction;
}

export interface Merge {
  readonly kind: 'merge';
  readonly target: Target;
  readonly source: TableSource;
  readonly on: Condition;
  readonly branches: readonly MergeBranch[];
  readonly output: Output | undefined;
}

export interface ColumnDefinition {
  readonly name: string;
  readonly type: ValueType;
  readonly identity: { readonly seed: bigint; readonly increment: bigint } | undefined;
  readonly default:
    { readonly constraint: string | undefined; readonly value: Expression; readonly text: string } | undefined;
}

export interface KeyDefinition {
  readonly name: string | undefined;
  readonly kind: 'primary key' | 'unique constraint';
  readonly columns: readonly string[];
}

export interface TableBody {
  readonly columns: readonly ColumnDefinition[];
  readonly keys: readonly KeyDefinition[];
}

export type DatabaseSetting =
  | {
      readonly kind: 'tracking';
      readonly switch: 'on' | 'off' | undefined;
      readonly retention: { readonly period: number; readonly unit: 'minutes' | 'hours' | 'days' } | undefined;
      readonly autoCleanup: boolean | undefined;
    }
  | { readonly kind: 'snapshot'; readonly on: boolean }
  | { readonly kind: 'readCommittedSnapshot'; readonly on: boolean }
  | { readonly kind: 'singleUser' }
  | { readonly kind: 'compatibility'; readonly level: number }
  | { readonly kind: 'other' };

export type TableChange =
  | { readonly kind: 'addColumns'; readonly body: TableBody }
  | { readonly kind: 'dropColumns'; readonly names: readonly string[] }
  | { readonly kind: 'dropConstraint'; readonly name: string }
  | { readonly kind: 'alterColumn'; readonly column: ColumnDefinition }
  | { readonly kind: 'enableTracking'; readonly columns: boolean }
  | { readonly kind: 'disableTracking' };

export interface Grant {
  readonly kind: 'grant';
  readonly verb: 'grant' | 'deny' | 'revoke';
  readonly permissions: readonly { readonly name: string; readonly columns: readonly string[] }[];
  readonly on: { readonly kind: 'object' | 'schema' | 'database'; readonly name: Name } | undefined;
  readonly users: readonly string[];
}

export type StatementBody =
  | { readonly kind: 'query'; readonly query: Query }
  | Insert
  | Update
  | Delete
  | Merge
  | { readonly kind: 'tracked'; readonly context: Expression; readonly statement: Insert | Update | Delete | Merge }
  | {
      readonly kind: 'declare';
      readonly variables: readonly {
        readonly name: string;
        readonly type: ValueType;
        readonly value: Expression | undefined;
      }[];
    }
  | { readonly kind: 'declareTable'; readonly name: string; readonly body: TableBody }
  | { readonly kind: 'set'; readonly variable: string; readonly value: Expression }
  | { readonly kind: 'setOption'; readonly names: readonly string[]; readonly value: string }
  | { readonly kind: 'setIdentityInsert'; readonly table: Name; readonly on: boolean }
  | { readonly kind: 'setIsolation'; readonly level: SqlIsolation }
  | {
      readonly kind: 'setNumber';
      readonly name: 'LOCK_TIMEOUT' | 'ROWCOUNT' | 'DEADLOCK_PRIORITY';
      readonly value: Expression;
    }
  | {
      readonly kind: 'if';
      readonly condition: Condition;
      readonly chosen: Statement;
      readonly otherwise: Statement | undefined;
    }
  | { readonly kind: 'while'; readonly condition: Condition; readonly body: Statement }
  | { readonly kind: 'block'; readonly statements: readonly Statement[] }
  | { readonly kind: 'try'; readonly body: readonly Statement[]; readonly handler: readonly Statement[] }
  | { readonly kind: 'begin' | 'commit' | 'rollback' | 'save'; readonly name: string | undefined }
  | { readonly kind: 'use'; readonly database: string }
  | { readonly kind: 'print'; readonly value: Expression }
  | { readonly kind: 'throw'; readonly args: readonly Expression[] }
  | { readonly kind: 'raiserror'; readonly args: readonly Expression[] }
  | { readonly kind: 'return' | 'break' | 'continue' }
  | {
      readonly kind: 'execute';
      readonly name: Name;
      readonly args: readonly { readonly name: string | undefined; readonly value: Expression }[];
    }
  | { readonly kind: 'executeText'; readonly sql: Expression }
  | { readonly kind: 'createTable'; readonly name: Name; readonly body: TableBody }
  | { readonly kind: 'createSchema'; readonly name: string }
  | { readonly kind: 'createDatabase'; readonly name: string }
  | { readonly kind: 'createUser'; readonly name: string }
  | {
      readonly kind: 'createIndex';
      readonly name: string;
      readonly table: Name;
      readonly unique: boolean;
      readonly columns: readonly string[];
    }
  | { readonly kind: 'dropDatabase'; readonly names: readonly string[]; readonly ifExists: boolean }
  | { readonly kind: 'dropTable'; readonly names: readonly Name[]; readonly ifExists: boolean }
  | { readonly kind: 'dropIndex'; readonly name: string; readonly table: Name; readonly ifExists: boolean }
  | { readonly kind: 'truncate'; readonly name: Name }
  | { readonly kind: 'alterTable'; readonly name: Name; readonly change: TableChange }
  | { readonly kind: 'alterDatabase'; readonly name: string | undefined; readonly settings: readonly DatabaseSetting[] }
  | Grant;

export type Statement = StatementBody & { readonly line: number; readonly text: string };
