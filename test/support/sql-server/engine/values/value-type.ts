import { type SqlType, type SqlValue } from '../../seam.js';

/** How texts of a column are compared: without case, with case, or by code point. */
export type Collation = 'ci' | 'cs' | 'bin';

/** A type inside of the engine: what the seam knows and the collation, which does not leave. */
export type ValueType = SqlType & {
  readonly collation?: Collation;
  readonly untypedNull?: boolean;
  /** How the catalog calls it, where that is another name: `text` is kept as varchar(max). */
  readonly declared?: string;
};

export type TypeName = SqlType['name'];

const type = (name: TypeName, more: Partial<ValueType> = {}): ValueType => ({ name, nullable: true, ...more });

export const BIT = type('bit');
export const INT = type('int');
export const BIGINT = type('bigint');
export const FLOAT = type('float');
export const DATETIME = type('datetime');
export const DATETIME2 = type('datetime2', { scale: 7 });
export const UNIQUEIDENTIFIER = type('uniqueidentifier');
/** What a bare NULL is: an int that gives way to any other type. */
export const NULL_TYPE = type('int', { untypedNull: true });

export const nvarchar = (length: number | 'max'): ValueType => type('nvarchar', { length });
export const varchar = (length: number | 'max'): ValueType => type('varchar', { length });
export const nchar = (length: number): ValueType => type('nchar', { length });
export const varbinary = (length: number | 'max'): ValueType => type('varbinary', { length });
export const decimal = (precision: number, scale: number): ValueType => type('decimal', { precision, scale });

/** Names that only a declaration knows. */
const SYNONYMS: Readonly<Record<string, ValueType>> = {
  integer: INT,
  dec: decimal(18, 0),
  numeric: { ...decimal(18, 0), declared: 'numeric' },
  timestamp: type('rowversion'),
  sysname: nvarchar(128),
  text: { ...varchar('max'), declared: 'text' },
  ntext: { ...nvarchar('max'), declared: 'ntext' },
  image: { ...varbinary('max'), declared: 'image' },
  smallmoney: { ...type('money'), declared: 'smallmoney' },
};

const PLAIN: readonly TypeName[] = [
  'bit',
  'tinyint',
  'smallint',
  'int',
  'bigint',
  'real',
  'float',
  'money',
  'uniqueidentifier',
  'date',
  'smalldatetime',
  'datetime',
  'rowversion',
];
const SIZED: readonly TypeName[] = ['char', 'varchar', 'nchar', 'nvarchar', 'binary', 'varbinary'];
const SCALED: readonly TypeName[] = ['time', 'datetime2', 'datetimeoffset'];

/** @returns `undefined` when there is no such type. `cast` = inside CAST, where a missing length is 30, not 1. */
export function declaredType(
  written: string,
  args: readonly (number | 'max')[],
  { cast = false }: { readonly cast?: boolean } = {},
): ValueType | undefined {
  const name = written.toLowerCase();
  const synonym = SYNONYMS[name];
  if (name === 'decimal' || synonym?.name === 'decimal') {
    return { ...synonym, ...decimal(numberOr(args[0], 18), numberOr(args[1], 0)) };
  }
  if (synonym !== undefined) {
    return synonym;
  }
  const known = [...PLAIN, ...SIZED, ...SCALED].find((one) => one === name);
  if (known === undefined) {
    return undefined;
  }
  if (SIZED.includes(known)) {
    return type(known, { length: args[0] ?? (cast ? 30 : 1) });
  }
  return SCALED.includes(known) ? type(known, { scale: numberOr(args[0], 7) }) : type(known);
}

function numberOr(value: number | 'max' | undefined, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}

export const isText = ({ name }: ValueType): boolean => TEXTS.includes(name);
export const isUnicode = ({ name }: ValueType): boolean => name === 'nchar' || name === 'nvarchar';
export const isBinary = ({ name }: ValueType): boolean =>
  name === 'binary' || name === 'varbinary' || name === 'rowversion';
export const isInteger = ({ name }: ValueType): boolean => INTEGERS.includes(name);
export const isExactNumber = (one: ValueType): boolean =>
  isInteger(one) || one.name === 'decimal' || one.name === 'money';
export const isDateTime = ({ name }: ValueType): boolean => DATE_TIMES.includes(name);
export const isFloating = ({ name }: ValueType): boolean => name === 'float' || name === 'real';

const TEXTS: readonly TypeName[] = ['char', 'varchar', 'nchar', 'nvarchar'];
const INTEGERS: readonly TypeName[] = ['tinyint', 'smallint', 'int', 'bigint'];
const DATE_TIMES: readonly TypeName[] = ['date', 'time', 'smalldatetime', 'datetime', 'datetime2', 'datetimeoffset'];

/** Data type precedence, lowest first: of two operands the lower is converted to the higher. */
const PRECEDENCE: readonly TypeName[] = [
  'binary',
  'varbinary',
  'char',
  'varchar',
  'nchar',
  'nvarchar',
  'uniqueidentifier',
  'rowversion',
  'bit',
  'tinyint',
  'smallint',
  'int',
  'bigint',
  'money',
  'decimal',
  'real',
  'float',
  'time',
  'date',
  'smalldatetime',
  'datetime',
  'datetime2',
  'datetimeoffset',
];

/** The type in which two values meet. */
export function commonType(left: ValueType, right: ValueType): ValueType {
  if (left.untypedNull === true || right.untypedNull === true) {
    return left.untypedNull === true ? right : left;
  }
  const [low, high] = rank(left) <= rank(right) ? [left, right] : [right, left];
  if (isText(high) || (isBinary(high) && isBinary(low))) {
    return { ...high, length: longer(low.length, high.length), ...strictest(low, high) };
  }
  if (high.name === 'decimal') {
    const [a, b] = [shape(low), shape(high)];
    const scale = Math.max(a.scale, b.scale);
    const whole = Math.max(a.precision - a.scale, b.precision - b.scale);
    return decimal(Math.min(38, whole + scale), scale);
  }
  if (isDateTime(high) && high.scale !== undefined) {
    return { ...high, scale: Math.max(high.scale, low.name === 'datetime' ? 3 : (low.scale ?? 0)) };
  }
  return high;
}

/** Precision and scale of an exact number, also of an integer. */
export function shape({ name, precision, scale }: ValueType): { readonly precision: number; readonly scale: number } {
  return FIXED_SHAPES[name] ?? { precision: precision ?? 18, scale: scale ?? 0 };
}

const FIXED_SHAPES: Readonly<Partial<Record<TypeName, { readonly precision: number; readonly scale: number }>>> = {
  tinyint: { precision: 3, scale: 0 },
  smallint: { precision: 5, scale: 0 },
  int: { precision: 10, scale: 0 },
  bigint: { precision: 19, scale: 0 },
  money: { precision: 19, scale: 4 },
};

/** `nvarchar(40)`: as the catalog and messages write a type. */
export function typeText({ name, length, precision, scale }: ValueType): string {
  if (length !== undefined) {
    return `${name}(${length})`;
  }
  if (name === 'decimal') {
    return `${name}(${precision ?? 18},${scale ?? 0})`;
  }
  return scale === undefined ? name : `${name}(${scale})`;
}

function rank({ name }: ValueType): number {
  return PRECEDENCE.indexOf(name);
}

function longer(left: ValueType['length'], right: ValueType['length']): number | 'max' {
  return left === 'max' || right === 'max' ? 'max' : Math.max(left ?? 1, right ?? 1);
}

function strictest(left: ValueType, right: ValueType): { readonly collation?: Collation } {
  const collation = left.collation ?? right.collation;
  return collation === undefined ? {} : { collation };
}

export type { SqlValue };
