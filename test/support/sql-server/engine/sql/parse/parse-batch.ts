import { EngineFault } from '../../errors/fault.js';
import { type Statement } from './ast.js';
import { tokenize } from './lexer.js';
import { StatementParser } from './statement.parser.js';
import { TokenCursor } from './token-cursor.js';

/** The statements of a batch. @throws 102, 105, 156, 319 … of the first mistake: nothing of the batch runs. */
export function parseBatch(sql: string): readonly Statement[] {
  const cursor = new TokenCursor(sql, tokenize(sql));
  try {
    return new StatementParser(cursor).batch();
  } catch (error) {
    throw error instanceof EngineFault ? error.at(cursor.token.line) : error;
  }
}
