import { BadRequestException } from '@nestjs/common';
import { type z } from 'zod';

/** One thing that is wrong in a request. */
export interface InvalidField {
  /** JSON pointer into the body (`#/upTo`), or the name of the parameter. */
  readonly pointer: string;
  /** What is expected. */
  readonly detail: string;
}

/** A request does not fit its schema: 400, with everything that is wrong. */
export class InvalidRequestError extends BadRequestException {
  constructor(readonly errors: readonly InvalidField[]) {
    super('The request is not understood: see errors.');
  }
}

/**
 * Reads a part of a request.
 *
 * @param at what the pointers begin with: `#/` for a body, nothing for parameters.
 * @throws InvalidRequestError.
 */
export function readRequest<TSchema extends z.ZodType>(
  schema: TSchema,
  input: unknown,
  at: '#/' | '',
): z.output<TSchema> {
  const { data, error } = schema.safeParse(input);
  if (error !== undefined) {
    throw new InvalidRequestError(
      error.issues.flatMap((issue) =>
        issue.code === 'unrecognized_keys'
          ? issue.keys.map((key) => ({ pointer: at + key.slice(0, 100), detail: 'expected no such field' }))
          : [{ pointer: at + issue.path.join('/'), detail: issue.message }],
      ),
    );
  }
  return data;
}
