import { type z } from 'zod';
import { type ProblemField, RequestRefusedError } from './problem-details.js';

/**
 * Reads a part of a request.
 *
 * @param at what the pointers begin with: `#/` for a body, nothing for parameters.
 * @throws RequestRefusedError (400) with everything that is wrong.
 */
export function parseRequest<TSchema extends z.ZodType>(
  schema: TSchema,
  input: unknown,
  at: '#/' | '',
): z.output<TSchema> {
  const result = schema.safeParse(input);
  if (!result.success) {
    throw invalidRequest(result.error.issues.flatMap((issue) => toFields(issue, at)));
  }
  return result.data;
}

/** A request with these mistakes is refused with 400. */
export function invalidRequest(errors: readonly ProblemField[]): RequestRefusedError {
  const count = errors.length === 1 ? 'one thing is' : `${errors.length} things are`;
  return new RequestRefusedError(
    400,
    'invalid-request',
    `Nothing was saved or read: ${count} wrong with the request.`,
    errors,
  );
}

function toFields(issue: z.core.$ZodIssue, at: string): readonly ProblemField[] {
  const pointer = at + issue.path.map(escapePointer).join('/');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      pointer: `${pointer === '' || pointer.endsWith('/') ? pointer : `${pointer}/`}${escapePointer(key)}`,
      code: 'UnknownField',
      detail: 'expected no such field',
    }));
  }
  const code: unknown = issue.code === 'custom' ? issue.params?.['code'] : undefined;
  return [{ pointer, code: typeof code === 'string' ? code : 'Malformed', detail: issue.message }];
}

function escapePointer(part: PropertyKey): string {
  return String(part).slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1');
}
