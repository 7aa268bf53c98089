import type { CacheCodec } from '../namespace/cache.codec.js';
import type { FieldsNamespace } from '../namespace/define-fields-cache.js';
import { checkFieldName } from '../namespace/field-name.js';
import { CacheTooManyFieldsError } from '../redis-cache.errors.js';
import { joinFields, splitFields } from '../store/fields-text.js';
import type { EntryVersion } from '../version/entry-version.js';
import type { CacheField, CacheFields } from './cache-fields.js';

/** A record without a prototype: any name is one of a field. */
export function fieldsOf<F>(entries: Iterable<readonly [string, F]>): Record<string, F> {
  const fields: Record<string, F> = Object.create(null);
  for (const [name, field] of entries) {
    fields[name] = field;
  }
  return fields;
}

/** The values of a loader, each stamped with the version of the whole. */
export function stamped<T>(values: Readonly<Record<string, T>>, version: EntryVersion): CacheFields<T> {
  return fieldsOf(Object.entries(values).map(([name, value]): [string, CacheField<T>] => [name, { value, version }]));
}

/** Between a hash as readers see it and the payload of a store, by the codec of one field. */
export function hashCodec<T>({ name: namespace, codec, maxFields }: FieldsNamespace<T>): CacheCodec<CacheFields<T>> {
  return {
    encode(fields) {
      const entries = Object.entries(fields);
      if (entries.length > maxFields) {
        throw new CacheTooManyFieldsError(namespace, maxFields);
      }
      return joinFields(
        entries.map(([name, { value, version }]) => {
          checkFieldName(name);
          return { name, version, payload: codec.encode(value) };
        }),
      );
    },
    decode: (text) =>
      fieldsOf(
        splitFields(text).map(({ name, version, payload }): [string, CacheField<T>] => [
          name,
          { value: codec.decode(payload), version },
        ]),
      ),
  };
}
