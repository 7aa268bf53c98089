import { quoteName } from './identifier.js';

/**
 * How a column's values cross without losing a digit: what the drivers would read as a JavaScript number or `Date` and so cut short
 * (decimals, money, every kind of time) leaves the server as its own text.
 */
export type ColumnKind =
  | 'bit'
  | 'integer'
  | 'bigint'
  | 'decimal'
  | 'money'
  | 'float'
  | 'real'
  | 'text'
  | 'instant'
  | 'offsetInstant'
  | 'date'
  | 'time'
  | 'uuid'
  | 'binary'
  | 'xml';

/** A column as the catalogue describes it. */
export interface SqlServerColumn {
  readonly id: number;
  readonly name: string;
  /** As declared: `decimal(18,4)`, `varchar(20)`. */
  readonly declaredType: string;
  readonly kind: ColumnKind;
  /** Of text columns. */
  readonly collation: string | null;
}

/** A column of the primary key, in the order of the key. */
export interface SqlServerKeyColumn extends SqlServerColumn {
  readonly descending: boolean;
}

/** How a value leaves the server, and how a key's text comes back as a value of the column's own type. */
interface Crossing {
  readonly out: (column: string) => string;
  readonly back: (parameter: string, column: SqlServerKeyColumn) => string;
}

const typed = (parameter: string, { declaredType }: SqlServerKeyColumn): string =>
  `CONVERT(${declaredType}, ${parameter})`;
const plain: Crossing = { out: (column) => column, back: typed };
// Style 121 has all digits of the fraction.
const timed: Crossing = {
  out: (column) => `CONVERT(varchar(34), ${column}, 121)`,
  back: (parameter, { declaredType }) => `CONVERT(${declaredType}, ${parameter}, 121)`,
};

const CROSSINGS: Readonly<Record<ColumnKind, Crossing>> = Object.freeze({
  bit: plain,
  integer: plain,
  bigint: plain,
  float: plain,
  real: plain,
  decimal: { out: (column) => `CONVERT(varchar(41), ${column})`, back: typed },
  // Style 2 has all four digits after the point.
  money: { out: (column) => `CONVERT(varchar(24), ${column}, 2)`, back: typed },
  instant: timed,
  offsetInstant: timed,
  date: timed,
  time: timed,
  uuid: { out: (column) => `CONVERT(varchar(36), ${column})`, back: typed },
  xml: { out: (column) => `CONVERT(nvarchar(max), ${column})`, back: typed },
  // Style 1 reads 0x and hexadecimal digits.
  binary: { ...plain, back: (parameter, { declaredType }) => `CONVERT(${declaredType}, ${parameter}, 1)` },
  text: { ...plain, back: textParameterSql },
} satisfies Record<ColumnKind, Crossing>);

/** The value of a column as it leaves the server. */
export function projectionSql(alias: string, { name, kind }: SqlServerColumn): string {
  return CROSSINGS[kind].out(`${alias}.${quoteName(name)}`);
}

/** The parameter of a key column, which is text, as a value of the column's own type and collation: so it finds the same place again. */
export function keyParameterSql(parameter: string, column: SqlServerKeyColumn): string {
  return CROSSINGS[column.kind].back(parameter, column);
}

/** A narrow column beside a wide parameter would be converted row by row, and no index used. */
function textParameterSql(parameter: string, { declaredType, collation }: SqlServerKeyColumn): string {
  if (declaredType.startsWith('n')) {
    return parameter;
  }
  return `CONVERT(${declaredType}, ${collation === null ? parameter : `${parameter} COLLATE ${collation}`})`;
}
