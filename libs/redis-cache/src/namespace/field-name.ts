import { InvalidCacheKeyError } from '../redis-cache.errors.js';

const MAX_NAME_BYTES = 512;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Checks the name of a field: text, not empty, at most 512 bytes of UTF-8, no lone surrogates. Whatever else is in it stands for itself.
 *
 * @throws {@link InvalidCacheKeyError} that says what was found, without repeating it.
 */
export function checkFieldName(name: string): void {
  const problem =
    name === ''
      ? 'is empty'
      : LONE_SURROGATE.test(name)
        ? 'contains a lone surrogate'
        : name.length * 3 > MAX_NAME_BYTES && Buffer.byteLength(name) > MAX_NAME_BYTES
          ? `has ${Buffer.byteLength(name)} bytes, at most ${MAX_NAME_BYTES} are allowed`
          : undefined;
  if (problem !== undefined) {
    throw new InvalidCacheKeyError('field', problem);
  }
}
