import { RowNotReadableError } from '../data-sync.errors.js';
import type { ChangeContract } from '../definition/change-contract.js';
import type { EnvelopeChange } from './change-envelope.js';

/**
 * What the contract's schema makes of a row as it travels.
 *
 * @throws {@link RowNotReadableError} that names the fields and shows no value.
 */
export async function parseRow<Row extends object>(
  contract: Pick<ChangeContract<Row>, 'name' | 'schema'>,
  row: NonNullable<EnvelopeChange['row']>,
): Promise<Row> {
  const answer = contract.schema['~standard'].validate(row);
  const result = answer instanceof Promise ? await answer : answer;
  if (result.issues !== undefined) {
    const fields = result.issues.map(({ path }) =>
      (path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.'),
    );
    throw new RowNotReadableError(contract.name, `the schema refuses ${[...new Set(fields)].join(', ') || 'it'}`);
  }
  return result.value;
}
