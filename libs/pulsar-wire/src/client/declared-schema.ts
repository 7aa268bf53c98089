import { InvalidWireOptionError } from './client.errors.js';

/** Numbers of the kinds of schemas on the wire. */
export const SCHEMA_TYPE = Object.freeze({ string: 1, json: 2, protobuf: 3, avro: 4, protobufNative: 20 });

/** A schema that the broker registers for the topic, or compares with the one that is registered. Payloads are the application's to encode. */
export interface DeclaredSchema {
  readonly type: keyof typeof SCHEMA_TYPE;
  readonly name: string;
  /** As the kind wants it: for `json` and `avro` the text of an Avro record. */
  readonly definition: string | Uint8Array;
  readonly properties?: Readonly<Record<string, string>> | undefined;
}

/**
 * What the protocol makes of it.
 *
 * @throws {@link InvalidWireOptionError}
 */
export function schemaData({ type, name, definition, properties }: DeclaredSchema) {
  if (!Object.hasOwn(SCHEMA_TYPE, type)) {
    throw new InvalidWireOptionError('schema.type', `is no ${Object.keys(SCHEMA_TYPE).join(', ')}`);
  }
  return {
    type: SCHEMA_TYPE[type],
    name,
    data: typeof definition === 'string' ? Buffer.from(definition, 'utf8') : definition,
    properties: properties ?? {},
  };
}
