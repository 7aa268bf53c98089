import { describe } from 'vitest';
import { fetchRedis8, installedRedis, type RedisProgram } from './redis-program.js';

const MISSING =
  'There is no redis-server on the path: on Debian, apt-get install -y --no-install-recommends redis-server brings it';

/** The version of the `redis-server` on the path; a test run without one skips, or fails where servers are required. */
export function redisForTests(): string | undefined {
  const version = installedRedis()?.version;
  if (version === undefined) {
    skip(MISSING);
  }
  return version;
}

/** For suites that run on every Redis that is supported: the one on the path, and Redis 8 where that is an older one. What is missing is skipped, or fails, as above. */
export async function everyRedisForTests(): Promise<readonly RedisProgram[]> {
  const installed = installedRedis();
  if (installed === undefined) {
    skip(MISSING);
    return [];
  }
  if (Number.parseInt(installed.version, 10) >= 8) {
    return [installed];
  }
  try {
    return [installed, await fetchRedis8()];
  } catch (error) {
    skip(`There is no Redis 8, "npm run services:fetch redis" brings it: ${String(error)}`);
    return [installed];
  }
}

function skip(reason: string): void {
  if (process.env['REQUIRE_SERVICES'] === '1') {
    throw new Error(reason);
  }
  describe.skip(reason);
}
