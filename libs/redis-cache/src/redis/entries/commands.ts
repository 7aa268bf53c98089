import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { SET_FIELDS } from './fields.script.js';
import { ENTRY_SCRIPTS, HASH_SCRIPTS } from './scripts.js';

/** Every script, by the name of its command. */
export const SCRIPTS = Object.freeze({ ...ENTRY_SCRIPTS, ...HASH_SCRIPTS, smartpulseSetFields: SET_FIELDS });

/** A command that is a script. */
export type ScriptName = keyof typeof SCRIPTS;

/** A script of several keys: the command's first argument says how many. */
export type ScriptOfMany = 'smartpulseSetAll' | 'smartpulseSetEach';

/** Whether a script is one of several keys. */
export function isOfMany(name: string): name is ScriptOfMany {
  return name === 'smartpulseSetAll' || name === 'smartpulseSetEach';
}

/** What servers know the scripts by. */
const DIGESTS: ReadonlyMap<string, string> = new Map(
  Object.entries(SCRIPTS).map(([name, lua]) => [name, createHash('sha1').update(lua).digest('hex')]),
);

/**
 * Runs a script by its digest, which every server was told when its connection was made. One that has forgotten it (`SCRIPT FLUSH`) is asked again by the command that the
 * client was opened with: it brings the text along, and costs more on each call, which several keys share.
 */
export function runScript(
  redis: Redis,
  name: ScriptName,
  keys: readonly string[],
  parameters: readonly (string | number)[],
): Promise<unknown> {
  if (isOfMany(name)) {
    return byName(redis, name, [keys.length, ...keys, ...parameters]);
  }
  return redis.evalsha(DIGESTS.get(name) ?? '', keys.length, ...keys, ...parameters).catch((error: unknown) => {
    if (error instanceof Error && error.message.startsWith('NOSCRIPT')) {
      return byName(redis, name, [...keys, ...parameters]);
    }
    throw error;
  });
}

function byName(redis: Redis, name: ScriptName, parameters: readonly (string | number)[]): Promise<unknown> {
  const command: unknown = Reflect.get(redis, name);
  return isCommand(command)
    ? command.call(redis, ...parameters)
    : Promise.reject(new TypeError(`The script ${name} is not defined.`));
}

function isCommand(command: unknown): command is (...parameters: readonly (string | number)[]) => Promise<unknown> {
  return typeof command === 'function';
}

/** They take away what others may have shown, so they must not be lost with a master; the other scripts bring what can be brought again. */
export const CHANGES: ReadonlySet<ScriptName> = new Set([
  'smartpulseRefresh',
  'smartpulseInvalidate',
  'smartpulseEvict',
  'smartpulseHashRefresh',
  'smartpulseHashInvalidate',
  'smartpulseSetFields',
]);
