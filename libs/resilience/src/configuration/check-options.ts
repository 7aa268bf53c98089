import { type ConfigurationIssue, ConfigurationError } from '../resilience.errors.js';
import type { StandardSchemaV1 } from './standard-schema.js';

/**
 * Checks options against a schema (zod, or any other that follows Standard Schema) and answers what the schema made of them, defaults
 * filled in.
 *
 * @param owner what is being configured, as the user wrote it: `PulsarModule.forRoot`.
 * @param remedy how to mend it, where "correct it where `owner` is called" does not fit.
 * @throws {@link ConfigurationError} that lists every issue by option path.
 */
export function checkOptions<TSchema extends StandardSchemaV1>(
  owner: string,
  schema: TSchema,
  input: unknown,
  remedy?: string,
): StandardSchemaV1.InferOutput<TSchema> {
  const result = schema['~standard'].validate(input);
  if (result instanceof Promise) {
    throw new ConfigurationError(owner, [{ option: '', problem: 'its schema validates asynchronously' }], remedy);
  }
  if (result.issues !== undefined) {
    throw new ConfigurationError(owner, result.issues.map(toIssue), remedy);
  }
  return result.value;
}

function toIssue(issue: StandardSchemaV1.Issue): ConfigurationIssue {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part));
  return { option: path.join('.'), problem: issue.message };
}
