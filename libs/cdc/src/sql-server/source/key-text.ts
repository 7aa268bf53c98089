import { SqlServerAnswerError } from '../sql-server.errors.js';

/** The place of a key in cursors and checkpoints: its values, as the server wrote them, in one text. */
export function keyTextOf(values: readonly string[]): string {
  return JSON.stringify(values);
}

/**
 * The values of a text made by {@link keyTextOf}.
 *
 * @param length how many columns the key has.
 * @throws SqlServerAnswerError when the text is of another key; it does not quote it.
 */
export function keyValuesOf(text: string, length: number): readonly string[] {
  const values = parsed(text);
  if (values === undefined || values.length !== length) {
    throw new SqlServerAnswerError(`a stored position is no key of ${length} columns`);
  }
  return values;
}

function parsed(text: string): readonly string[] | undefined {
  try {
    const values: unknown = JSON.parse(text);
    return Array.isArray(values) && values.every((value) => typeof value === 'string') ? values : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) {
      return undefined;
    }
    throw error;
  }
}
