import { execFile } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../process/cache-folder.js';
import { type Search } from '../pulsar-peers/java.js';

const INSTALL_TIMEOUT_MS = 120_000;

/**
 * A Python with a package, installed once into the cache folder; its path, or why it cannot be had.
 *
 * @param pinned `name==version`.
 * @param what the package is for the reader of a message.
 */
export async function preparePythonWith(pinned: string, what: string): Promise<Search<string>> {
  const folder = join(cacheFolder('python'), pinned.replace('==', '-'));
  const python = join(folder, 'bin', 'python');
  const ready = join(folder, 'ready');
  if (!existsSync(ready)) {
    try {
      rmSync(folder, { recursive: true, force: true });
      const options = { timeout: INSTALL_TIMEOUT_MS };
      await promisify(execFile)('python3', ['-m', 'venv', folder], options);
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', pinned];
      await promisify(execFile)(python, pip, options);
      // The mark comes last: a half installed folder is made anew.
      writeFileSync(ready, `${pinned}\n`);
    } catch (error) {
      const said = (error as Error & { readonly stderr?: string }).stderr?.trim().split('\n').at(-1);
      return {
        available: false,
        reason: `${what} cannot be had (python3 with venv, and ${pinned} by pip): ${said ?? String(error)}`,
      };
    }
  }
  return { available: true, value: python };
}
