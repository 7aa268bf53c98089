import { type EngineFault, fault } from './fault.js';

export const conversionFailed = (from: string, value: string, to: string): EngineFault =>
  fault(245, 16, 1, `Conversion failed when converting the ${from} value '${value}' to data type ${to}.`);

export const errorConverting = (from: string, to: string): EngineFault =>
  fault(8114, 16, 5, `Error converting data type ${from} to ${to}.`);

export const notADate = (): EngineFault =>
  fault(241, 16, 1, 'Conversion failed when converting date and/or time from character string.');

export const notAGuid = (): EngineFault =>
  fault(8169, 16, 2, 'Conversion failed when converting from a character string to uniqueidentifier.');

export const overflow = (what: string, to: string): EngineFault =>
  fault(8115, 16, 2, `Arithmetic overflow error converting ${what} to data type ${to}.`);

export const overflowOf = (to: string, value: string): EngineFault =>
  fault(220, 16, 2, `Arithmetic overflow error for data type ${to}, value = ${value}.`);

export const divideByZero = (): EngineFault => fault(8134, 16, 1, 'Divide by zero error encountered.');

export const operandClash = (left: string, right: string): EngineFault =>
  fault(206, 16, 2, `Operand type clash: ${left} is incompatible with ${right}`);

export const noImplicitConversion = (from: string, to: string): EngineFault =>
  fault(
    257,
    16,
    3,
    `Implicit conversion from data type ${from} to ${to} is not allowed. Use the CONVERT function to run this query.`,
  );

export const noExplicitConversion = (from: string, to: string): EngineFault =>
  fault(529, 16, 2, `Explicit conversion from data type ${from} to ${to} is not allowed.`);

export const operandsIncompatible = (left: string, right: string, operation: string): EngineFault =>
  fault(402, 16, 1, `The data types ${left} and ${right} are incompatible in the ${operation} operator.`);

export const invalidArgument = (type: string, position: number, name: string): EngineFault =>
  fault(8116, 16, 1, `Argument data type ${type} is invalid for argument ${position} of ${name} function.`);

export const unknownDatePart = (part: string, name: string): EngineFault =>
  fault(155, 15, 1, `'${part}' is not a recognized ${name} option.`);

export const dateOverflow = (type: string): EngineFault =>
  fault(517, 16, 1, `Adding a value to a '${type}' column caused an overflow.`);

export const truncated = (table: string, column: string, value: string): EngineFault =>
  fault(
    2628,
    16,
    1,
    `String or binary data would be truncated in table '${table}', column '${column}'. Truncated value: '${value}'.`,
  );

export const nullNotAllowed = (column: string, table: string, verb: 'INSERT' | 'UPDATE'): EngineFault =>
  fault(
    515,
    16,
    2,
    `Cannot insert the value NULL into column '${column}', table '${table}'; column does not allow nulls. ${verb} fails.`,
  );

export const duplicateKey = (kind: string, constraint: string, table: string, key: string): EngineFault =>
  fault(
    2627,
    14,
    1,
    `Violation of ${kind} constraint '${constraint}'. Cannot insert duplicate key in object '${table}'. The duplicate key value is (${key}).`,
  );

export const duplicateIndexKey = (table: string, index: string, key: string): EngineFault =>
  fault(
    2601,
    14,
    1,
    `Cannot insert duplicate key row in object '${table}' with unique index '${index}'. The duplicate key value is (${key}).`,
  );

export const explicitIdentity = (table: string): EngineFault =>
  fault(
    544,
    16,
    1,
    `Cannot insert explicit value for identity column in table '${table}' when IDENTITY_INSERT is set to OFF.`,
  );

export const missingIdentity = (table: string): EngineFault =>
  fault(
    545,
    16,
    1,
    `Explicit value must be specified for identity column in table '${table}' either when IDENTITY_INSERT is set to ON or when a replication user is inserting into a NOT FOR REPLICATION identity column.`,
  );

export const identityUpdate = (column: string): EngineFault =>
  fault(8102, 16, 1, `Cannot update identity column '${column}'.`);

export const rowversionInsert = (): EngineFault =>
  fault(
    273,
    16,
    1,
    'Cannot insert an explicit value into a timestamp column. Use INSERT with a column list to exclude the timestamp column, or insert a DEFAULT into the timestamp column.',
  );

export const rowversionUpdate = (): EngineFault => fault(272, 16, 1, 'Cannot update a timestamp column.');

export const negativeRowCount = (): EngineFault =>
  fault(127, 15, 1, 'A TOP N or FETCH rowcount value may not be negative.');
