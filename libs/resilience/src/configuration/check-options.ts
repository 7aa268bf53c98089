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
    throw new ConfigurationError(owner, result.issues.flatMap(toIssues), remedy);
  }
  return result.value;
}

function toIssues(issue: StandardSchemaV1.Issue): readonly ConfigurationIssue[] {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part));
  const unknown = unknownOptions(issue);
  return unknown === undefined
    ? [{ option: path.join('.'), problem: issue.message }]
    : unknown.map((name) => ({ option: [...path, name].join('.'), problem: 'there is no option of this name' }));
}

/** The names that a schema of zod does not know; its own sentence about them speaks of keys, and does not say where. */
function unknownOptions(issue: StandardSchemaV1.Issue): readonly string[] | undefined {
  return 'code' in issue && issue.code === 'unrecognized_keys' && 'keys' in issue && Array.isArray(issue.keys)
    ? issue.keys.map(String)
    : undefined;
}
