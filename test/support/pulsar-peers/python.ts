import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { logFileFor } from '../process/cache-folder.js';
import { preparePythonWith } from '../python/venv.js';
import { type Search } from './java.js';
import { Peer } from './peer.js';

/** Starts a Python source of this folder with the official client, which is installed once into the cache folder. */
export type StartPython = (source: string, serviceUrl: string) => Peer;

/** Brings the official Python client, or says why it cannot be had. */
export async function preparePython(): Promise<Search<StartPython>> {
  const search = await preparePythonWith('pulsar-client==3.13.0', 'The official Python client');
  if (!search.available) {
    return search;
  }
  const here = fileURLToPath(new URL('.', import.meta.url));
  return {
    available: true,
    value: (source, serviceUrl) =>
      Peer.start({
        name: `the Python client (${source})`,
        command: search.value,
        args: [join(here, source), serviceUrl, logFileFor('python-client')],
      }),
  };
}
