import { InvalidTransactionError } from '../redis-cache.errors.js';
import type { CommandArgument } from './redis-transaction.js';

const MAX_KEYS = 1_000;

/** What changes the connection, or waits on it: `WATCH`, `MULTI` and `EXEC` are sent by the run itself, and the rest would outlive it. */
const REFUSED: ReadonlySet<string> = new Set(
  (
    'WATCH UNWATCH MULTI EXEC DISCARD ASKING READONLY READWRITE AUTH HELLO RESET QUIT SELECT SWAPDB CLIENT MONITOR SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE ' +
    'PUNSUBSCRIBE SUNSUBSCRIBE SYNC PSYNC REPLCONF SHUTDOWN BLPOP BRPOP BRPOPLPUSH BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF FAILOVER'
  ).split(' '),
);

/** Checks what a run is to watch. @throws InvalidTransactionError */
export function checkWatched(prefix: string, keys: readonly string[]): void {
  if (keys.length === 0 || keys.length > MAX_KEYS || keys.some((key) => typeof key !== 'string' || key === '')) {
    throw new InvalidTransactionError(`expected 1 to ${MAX_KEYS} keys to watch, none of them empty`);
  }
  keys.forEach((key) => checkForeign(prefix, key));
}

/** Checks a command that work wants to send. @throws InvalidTransactionError */
export function checkCommand(command: string): void {
  if (REFUSED.has(command.toUpperCase())) {
    throw new InvalidTransactionError(
      `${command.toUpperCase()} changes or blocks the connection, which the transaction has for itself only while it lasts`,
    );
  }
}

/** Checks a command that changes something: its first parameter is its key, or its first one. @throws InvalidTransactionError */
export function checkChange(prefix: string, command: string, [key]: readonly CommandArgument[]): void {
  checkCommand(command);
  checkForeign(prefix, String(key));
}

/**
 * Keys of the module's own: entries `{prefix:name:key}:v`, hashes `:f` and tags `:t` with the generation behind them, the generation `{prefix:!gen}`, records
 * `{prefix:name}:r`. Every other key is the app's, also one with the same words.
 */
function checkForeign(prefix: string, key: string): void {
  const own = `{${prefix}:`;
  if (key.startsWith(own) && (key.startsWith(`${own}!gen}`) || /\}.*:[vft]\.\d+$|\}:r$/s.test(key))) {
    throw new InvalidTransactionError(
      `"${key}" is a key of the caches under the prefix "${prefix}": a transaction would change it past its version and its messages`,
    );
  }
}
