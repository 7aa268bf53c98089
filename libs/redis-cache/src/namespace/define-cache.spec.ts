import { ConfigurationError } from '@smartpulse/resilience';
import { describe, expect, it } from 'vitest';
import { CACHE_NAMESPACE_DEFAULTS, defineCache } from './define-cache.js';

const configurationError = (call: () => unknown): ConfigurationError => {
  try {
    call();
  } catch (error) {
    if (ConfigurationError.is(error)) {
      return error;
    }
  }
  throw new Error('No ConfigurationError was thrown.');
};

describe('defineCache', () => {
  it('fills in the defaults', () => {
    expect(defineCache({ name: 'prices', synced: true })).toMatchObject({
      ...CACHE_NAMESPACE_DEFAULTS,
      name: 'prices',
      synced: true,
    });
  });

  it('names every option that is out of range, with what it expects', () => {
    const error = configurationError(() => defineCache({ name: 'prices', synced: true, l1TtlMs: 0, leaseMs: 1.5 }));
    expect(error.issues.map(({ option }) => option)).toEqual(['l1TtlMs', 'leaseMs']);
    expect(error.message).toContain('whole milliseconds from 1 to');
  });

  it('refuses an unknown option and a name that cannot be part of a key', () => {
    const misspelt = { name: 'prices', synced: true, ttlMs: 5 };
    expect(configurationError(() => defineCache(misspelt)).message).toContain('ttlMs');
    expect(configurationError(() => defineCache({ name: 'a b', synced: true })).issues[0]?.option).toBe('name');
    // `a` with the key `b:k` and `a:b` with the key `k` would be one key of the store.
    expect(configurationError(() => defineCache({ name: 'a:b', synced: true })).issues[0]?.option).toBe('name');
  });
});
