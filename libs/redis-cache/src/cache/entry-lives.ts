import { ConfigurationError } from '@smartpulse/resilience';
import { MAX_TTL_MS } from '../namespace/define-cache.js';

/** Lives of one entry that differ from those of its namespace, milliseconds from 1 to 30 days. Both are shortened by up to a tenth at random. */
export interface EntryLives {
  /** In the first level; never longer than what is left in the second. */
  readonly l1TtlMs?: number | undefined;
  /** In the second level, until it counts as old. */
  readonly l2TtlMs?: number | undefined;
}

/** @throws ConfigurationError that names the life that is out of range. */
export function checkLives(owner: string, lives: EntryLives): void {
  checkLife(owner, 'l1TtlMs', lives.l1TtlMs);
  checkLife(owner, 'l2TtlMs', lives.l2TtlMs);
}

/** @throws ConfigurationError that names the option if its life is out of range. */
export function checkLife(owner: string, option: string, ttlMs: number | undefined): void {
  if (ttlMs !== undefined && !(Number.isInteger(ttlMs) && ttlMs >= 1 && ttlMs <= MAX_TTL_MS)) {
    throw new ConfigurationError(owner, [
      { option, problem: `expected whole milliseconds from 1 to ${MAX_TTL_MS}, got ${String(ttlMs)}` },
    ]);
  }
}
