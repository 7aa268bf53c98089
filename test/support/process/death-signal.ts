import { spawnSync } from 'node:child_process';

/**
 * The command, wrapped so that the kernel signals it when the process that started it dies, however it dies (a test runner may be killed before it
 * could stop anything). Linux with `setpriv` of util-linux only; elsewhere the command itself. The wrapper becomes the command: one process id.
 */
export function deathSignalCommand(
  signal: 'SIGKILL' | 'SIGTERM',
  command: string,
  args: readonly string[],
): [string, ...string[]] {
  if (!hasSetpriv()) {
    return [command, ...args];
  }
  return ['setpriv', '--pdeathsig', signal.slice('SIG'.length), command, ...args];
}

function hasSetpriv(): boolean {
  return process.platform === 'linux' && spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0;
}
