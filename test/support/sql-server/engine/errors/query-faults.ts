import { type EngineFault, fault } from './fault.js';

export const incorrectSyntax = (near: string): EngineFault => fault(102, 15, 1, `Incorrect syntax near '${near}'.`);

export const incorrectSyntaxNearKeyword = (keyword: string): EngineFault =>
  fault(156, 15, 1, `Incorrect syntax near the keyword '${keyword}'.`);

export const withNeedsSemicolon = (): EngineFault =>
  fault(
    319,
    15,
    1,
    "Incorrect syntax near the keyword 'with'. If this statement is a common table expression, an xmlnamespaces clause or a change tracking context clause, the previous statement must be terminated with a semicolon.",
  );

export const mergeNeedsSemicolon = (): EngineFault =>
  fault(10_713, 15, 1, 'A MERGE statement must be terminated by a semi-colon (;).');

export const unclosedString = (text: string): EngineFault =>
  fault(105, 15, 1, `Unclosed quotation mark after the character string '${text}'.`);

export const undeclaredVariable = (name: string): EngineFault =>
  fault(137, 15, 2, `Must declare the scalar variable "${name}".`);

export const variableDeclaredTwice = (name: string): EngineFault =>
  fault(
    134,
    15,
    1,
    `The variable name '${name}' has already been declared. Variable names must be unique within a query batch or stored procedure.`,
  );

export const missingParameter = (statement: string, name: string): EngineFault =>
  fault(8178, 16, 1, `The parameterized query '${statement}' expects the parameter '${name}', which was not supplied.`);

export const unknownFunction = (name: string): EngineFault =>
  fault(195, 15, 10, `'${name}' is not a recognized built-in function name.`);

export const wrongArgumentCount = (name: string, count: number): EngineFault =>
  fault(174, 15, 1, `The ${name} function requires ${count} argument(s).`);

export const unknownOption = (option: string, kind: string, state = 1): EngineFault =>
  fault(155, 15, state, `'${option}' is not a recognized ${kind} option.`);

export const unknownSetOption = (option: string): EngineFault =>
  fault(195, 15, 5, `'${option}' is not a recognized SET option.`);

export const unknownType = (name: string): EngineFault =>
  fault(243, 16, 1, `Type ${name} is not a defined system type.`);

export const unknownColumnType = (position: number, name: string): EngineFault =>
  fault(2715, 16, 6, `Column, parameter, or variable #${position}: Cannot find data type ${name}.`);

export const invalidObject = (name: string): EngineFault => fault(208, 16, 1, `Invalid object name '${name}'.`);

export const invalidColumn = (name: string): EngineFault => fault(207, 16, 1, `Invalid column name '${name}'.`);

export const ambiguousColumn = (name: string): EngineFault => fault(209, 16, 1, `Ambiguous column name '${name}'.`);

export const unboundName = (name: string): EngineFault =>
  fault(4104, 16, 1, `The multi-part identifier "${name}" could not be bound.`);

export const prefixMatchesNothing = (prefix: string): EngineFault =>
  fault(107, 15, 1, `The column prefix '${prefix}' does not match with a table name or alias name used in the query.`);

export const duplicateAlias = (name: string): EngineFault =>
  fault(1011, 16, 1, `The correlation name '${name}' is specified multiple times in a FROM clause.`);

export const sameExposedName = (name: string): EngineFault =>
  fault(
    1013,
    16,
    1,
    `The objects "${name}" and "${name}" in the FROM clause have the same exposed names. Use correlation names to distinguish them.`,
  );

export const namelessColumn = (position: number, table: string): EngineFault =>
  fault(8155, 16, 2, `No column name was specified for column ${position} of '${table}'.`);

export const columnNamedTwice = (column: string, table: string): EngineFault =>
  fault(8156, 16, 1, `The column '${column}' was specified multiple times for '${table}'.`);

export const columnSetTwice = (column: string): EngineFault =>
  fault(
    264,
    16,
    1,
    `The column name '${column}' is specified more than once in the SET clause or column list of an INSERT. A column cannot be assigned more than one value in the same clause. Modify the clause to make sure that a column is updated only once. If this statement updates or inserts columns into a view, column aliasing can conceal the duplication in your code.`,
  );

export const orderByInDerivedTable = (): EngineFault =>
  fault(
    1033,
    15,
    1,
    'The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table expressions, unless TOP, OFFSET or FOR XML is also specified.',
  );

export const orderByOutOfRange = (position: bigint): EngineFault =>
  fault(
    108,
    15,
    1,
    `The ORDER BY position number ${position} is out of range of the number of items in the select list.`,
  );

export const notBoolean = (near: string): EngineFault =>
  fault(
    4145,
    15,
    1,
    `An expression of non-boolean type specified in a context where a condition is expected, near '${near}'.`,
  );

export const notGrouped = (column: string): EngineFault =>
  fault(
    8120,
    16,
    1,
    `Column '${column}' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.`,
  );

export const aggregateInWhere = (): EngineFault =>
  fault(
    147,
    15,
    1,
    'An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a HAVING clause or a select list, and the column being aggregated is an outer reference.',
  );

export const moreThanOneValue = (): EngineFault =>
  fault(
    512,
    16,
    1,
    'Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or when the subquery is used as an expression.',
  );

export const oneColumnOnly = (): EngineFault =>
  fault(
    116,
    16,
    1,
    'Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.',
  );

export const moreColumnsThanValues = (): EngineFault =>
  fault(
    109,
    15,
    1,
    'There are more columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.',
  );

export const fewerColumnsThanValues = (): EngineFault =>
  fault(
    110,
    15,
    1,
    'There are fewer columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.',
  );

export const valuesDoNotMatchTable = (): EngineFault =>
  fault(213, 16, 1, 'Column name or number of supplied values does not match table definition.');

export const derivedTableColumns = (name: string, fewer: boolean): EngineFault =>
  fewer
    ? fault(8158, 16, 1, `'${name}' has more columns than were specified in the column list.`)
    : fault(8159, 16, 1, `'${name}' has fewer columns than were specified in the column list.`);

export const rowTouchedTwiceByMerge = (): EngineFault =>
  fault(
    8672,
    16,
    1,
    'The MERGE statement attempted to UPDATE or DELETE the same row more than once. This happens when a target row matches more than one source row. A MERGE statement cannot UPDATE/DELETE the same row of the target table multiple times. Refine the ON clause to ensure a target row matches at most one source row, or use the GROUP BY clause to group the source rows.',
  );

export const unknownProcedure = (name: string): EngineFault =>
  fault(2812, 16, 62, `Could not find stored procedure '${name}'.`);

export const valuesRowsDiffer = (): EngineFault =>
  fault(10_709, 16, 1, 'The number of columns for each row in a table value constructor must be the same.');

export const tooManyValueRows = (): EngineFault =>
  fault(
    10_738,
    15,
    1,
    'The number of row value expressions in the INSERT statement exceeds the maximum allowed number of 1000 row values.',
  );

export const tooManyParameters = (): EngineFault =>
  fault(
    8003,
    16,
    1,
    'The incoming request has too many parameters. The server supports a maximum of 2100 parameters. Reduce the number of parameters and resend the request.',
  );

export const selectListTooShort = (): EngineFault =>
  fault(
    120,
    15,
    1,
    'The select list for the INSERT statement contains fewer items than the insert list. The number of SELECT values must match the number of INSERT columns.',
  );

export const selectListTooLong = (): EngineFault =>
  fault(
    121,
    15,
    1,
    'The select list for the INSERT statement contains more items than the insert list. The number of SELECT values must match the number of INSERT columns.',
  );
