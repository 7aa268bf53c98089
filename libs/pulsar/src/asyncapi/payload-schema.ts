import type { StandardSchemaV1 } from '@smartpulse/resilience';
import { z } from 'zod';

/** A JSON Schema, draft 7: what AsyncAPI takes as it is. */
export type JsonSchema = Readonly<Record<string, unknown>>;

const TARGET = 'draft-07';

/**
 * The JSON Schema of what travels, as far as the schema's library can tell: zod's own, else by the Standard JSON Schema. What cannot be told
 * allows everything, and its description says why.
 *
 * @param at where the schema will stand in its document: `#/components/schemas/reading.v1`.
 */
export function payloadSchema(schema: StandardSchemaV1, contentType: string, at: string): JsonSchema {
  if (!contentType.includes('json')) {
    return { description: `Content of type ${contentType}, which JSON Schema does not describe.` };
  }
  const { vendor } = schema['~standard'];
  try {
    const found = schema instanceof z.ZodType ? ofZod(schema) : ofStandard(schema);
    return found === undefined
      ? { description: `Checked by a schema of ${vendor}, which tells no JSON Schema.` }
      : placed(found, at);
  } catch (error) {
    const name = error instanceof Error ? error.name : typeof error;
    return { description: `Checked by a schema of ${vendor}, which has no JSON Schema (${name}).` };
  }
}

/** What zod takes in, as it is in JSON: a date is text there. */
function ofZod(schema: z.ZodType): object {
  return z.toJSONSchema(schema, {
    target: TARGET,
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema._zod.def.type === 'date') {
        Object.assign(jsonSchema, { type: 'string', format: 'date-time' });
      }
    },
  });
}

interface StandardJsonSchema {
  input(options: { readonly target: string }): unknown;
}

function ofStandard(schema: StandardSchemaV1): object | undefined {
  const props: object = schema['~standard'];
  const converter = 'jsonSchema' in props ? props.jsonSchema : undefined;
  if (!isConverter(converter)) {
    return undefined;
  }
  const found = converter.input({ target: TARGET });
  return typeof found === 'object' && found !== null ? found : undefined;
}

function isConverter(value: unknown): value is StandardJsonSchema {
  return typeof value === 'object' && value !== null && 'input' in value && typeof value.input === 'function';
}

/** The schema at its place in a document: references within it begin there. */
function placed(schema: object, at: string): JsonSchema {
  const { $schema: _dialect, $id: _id, ...rest } = moved(schema, at);
  return rest;
}

function moved(part: object, at: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(part).map(([name, value]: [string, unknown]) => [
      name,
      name === '$ref' && typeof value === 'string' && value.startsWith('#')
        ? `${at}${value.slice(1)}`
        : movedValue(value, at),
    ]),
  );
}

function movedValue(value: unknown, at: string): unknown {
  if (Array.isArray(value)) {
    return value.map((one) => movedValue(one, at));
  }
  return typeof value === 'object' && value !== null ? moved(value, at) : value;
}
