import { type ValueType } from '../../values/value-type.js';
import { parseBatch } from './parse-batch.js';

/** `@a int, @b nvarchar(40) OUTPUT`, as sp_executesql has it. */
export function parseDeclarations(written: string): Map<string, ValueType> {
  if (written.trim() === '') {
    return new Map();
  }
  const [statement] = parseBatch(`DECLARE ${written.replaceAll(/\bOUT(?:PUT)?\b/gi, '')}`);
  return new Map(
    statement?.kind === 'declare' ? statement.variables.map(({ name, type }) => [name.toLowerCase(), type]) : [],
  );
}
