import { ChangeContextError } from '../sql-server.errors.js';

/** Text that holds no statements: strings, quoted names, comments. */
const OPAQUE = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\[(?:[^\]]|\]\])*\]|--[^\n]*|\/\*[\s\S]*?\*\//y;
const WORD = /[A-Za-z_@#][\w@#$]*/y;
const WRITES: readonly string[] = ['INSERT', 'UPDATE', 'DELETE', 'MERGE'];
/** Words after which another meaning is meant: ON DELETE CASCADE, FOR UPDATE. */
const NO_WRITE_AFTER: readonly string[] = ['ON', 'FOR'];

/**
 * Puts `WITH CHANGE_TRACKING_CONTEXT` before every statement of a text that writes. The server keeps the context of the last statement that
 * touched a row.
 *
 * @param context the bytes as `0x…`.
 * @throws ChangeContextError for a write that does not begin its statement (after IF, with a common table expression, or without a
 * semicolon before it): there the clause has no place that can be found without understanding the text.
 */
export function tagStatements(sql: string, context: string): string {
  let tagged = '';
  let copied = 0;
  let [first, previous] = ['', ''];
  for (let at = 0; at < sql.length;) {
    const opaque = matchAt(OPAQUE, sql, at);
    if (opaque !== undefined) {
      at += opaque.length;
      continue;
    }
    const word = matchAt(WORD, sql, at)?.toUpperCase();
    if (word === undefined) {
      if (sql[at] === ';') {
        [first, previous] = ['', ''];
      }
      at += 1;
      continue;
    }
    if (WRITES.includes(word) && first === '') {
      tagged += `${sql.slice(copied, at)}WITH CHANGE_TRACKING_CONTEXT (${context}) `;
      copied = at;
    } else if (WRITES.includes(word) && first !== 'MERGE' && !NO_WRITE_AFTER.includes(previous)) {
      throw ChangeContextError.ofStatement(first, word);
    }
    first = first === '' ? word : first;
    previous = word;
    at += word.length;
  }
  return tagged + sql.slice(copied);
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
