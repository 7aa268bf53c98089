import { SET_FIELDS } from './fields.script.js';
import { ENTRY_SCRIPTS, HASH_SCRIPTS } from './scripts.js';

/** Every script, by the name of its command. */
export const SCRIPTS = Object.freeze({ ...ENTRY_SCRIPTS, ...HASH_SCRIPTS, smartpulseSetFields: SET_FIELDS });

/** A command that is a script. */
export type ScriptName = keyof typeof SCRIPTS;

/** A script of several keys: the command's first argument says how many. */
export const SCRIPT_OF_MANY = 'smartpulseSetAll' satisfies ScriptName;

/** They take away what others may have shown, so they must not be lost with a master; the other scripts bring what can be brought again. */
export const CHANGES: ReadonlySet<ScriptName> = new Set([
  'smartpulseRefresh',
  'smartpulseInvalidate',
  'smartpulseEvict',
  'smartpulseHashRefresh',
  'smartpulseHashInvalidate',
  'smartpulseSetFields',
]);
