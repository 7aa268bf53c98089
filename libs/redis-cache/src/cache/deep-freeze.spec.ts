import { afterEach, describe, expect, it, vi } from 'vitest';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.resetModules();
});

describe('whether readers are shown what they cannot change', () => {
  it.each([
    ['production', false],
    ['development', true],
    ['test', true],
    [undefined, true],
  ])('by default, where NODE_ENV is %s: %s', async (environment, freezes) => {
    vi.stubEnv('NODE_ENV', environment);
    vi.resetModules();
    const { REDIS_CACHE_DEFAULTS } = await import('../redis-cache.options.js');
    expect(REDIS_CACHE_DEFAULTS.freeze).toBe(freezes);
  });
});
