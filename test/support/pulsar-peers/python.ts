import { execFile } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheFolder, logFileFor } from '../process/cache-folder.js';
import { type Search } from './java.js';
import { Peer } from './peer.js';

const CLIENT = 'pulsar-client==3.13.0';
const INSTALL_TIMEOUT_MS = 120_000;

/** Starts a Python source of this folder with the official client, which is installed once into the cache folder. */
export type StartPython = (source: string, serviceUrl: string) => Peer;

/** Brings the official Python client, or says why it cannot be had. */
export async function preparePython(): Promise<Search<StartPython>> {
  const folder = join(cacheFolder('python'), CLIENT.replace('==', '-'));
  const python = join(folder, 'bin', 'python');
  const ready = join(folder, 'ready');
  if (!existsSync(ready)) {
    try {
      rmSync(folder, { recursive: true, force: true });
      const options = { timeout: INSTALL_TIMEOUT_MS };
      await promisify(execFile)('python3', ['-m', 'venv', folder], options);
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', CLIENT];
      await promisify(execFile)(python, pip, options);
      // The mark comes last: a half installed folder is made anew.
      writeFileSync(ready, `${CLIENT}\n`);
    } catch (error) {
      const said = (error as Error & { readonly stderr?: string }).stderr?.trim().split('\n').at(-1);
      return {
        available: false,
        reason: `The official Python client cannot be had (python3 with venv, and ${CLIENT} by pip): ${said ?? String(error)}`,
      };
    }
  }
  const here = fileURLToPath(new URL('.', import.meta.url));
  return {
    available: true,
    value: (source, serviceUrl) =>
      Peer.start({
        name: `the Python client (${source})`,
        command: python,
        args: [join(here, source), serviceUrl, logFileFor('python-client')],
      }),
  };
}
