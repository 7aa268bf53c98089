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

/** The value of a column as it leaves the server. */
export function projectionSql(alias: string, { name, kind }: SqlServerColumn): string {
  const column = `${alias}.${quoteName(name)}`;
  switch (kind) {
    case 'decimal':
      return `CONVERT(varchar(41), ${column})`;
    case 'money':
      // Style 2 has all four digits after the point.
      return `CONVERT(varchar(24), ${column}, 2)`;
    case 'instant':
    case 'offsetInstant':
    case 'date':
    case 'time':
      // Style 121 has all digits of the fraction.
      return `CONVERT(varchar(34), ${column}, 121)`;
    case 'uuid':
      return `CONVERT(varchar(36), ${column})`;
    case 'xml':
      return `CONVERT(nvarchar(max), ${column})`;
    default:
      return column;
  }
}

/** The parameter of a key column, which is text, as a value of the column's own type and collation: so it finds the same place again. */
export function keyParameterSql(parameter: string, { declaredType, kind, collation }: SqlServerKeyColumn): string {
  switch (kind) {
    case 'text': {
      if (declaredType.startsWith('n')) {
        return parameter;
      }
      // A narrow column beside a wide parameter would be converted row by row, and no index used.
      const collated = collation === null ? parameter : `${parameter} COLLATE ${collation}`;
      return `CONVERT(${declaredType}, ${collated})`;
    }
    case 'binary':
      // Style 1 reads 0x and hexadecimal digits.
      return `CONVERT(${declaredType}, ${parameter}, 1)`;
    case 'instant':
    case 'offsetInstant':
    case 'date':
    case 'time':
      return `CONVERT(${declaredType}, ${parameter}, 121)`;
    default:
      return `CONVERT(${declaredType}, ${parameter})`;
  }
}
