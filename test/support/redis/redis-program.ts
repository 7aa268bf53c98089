import { execFile, spawnSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../process/cache-folder.js';

/** A `redis-server` that can be started. */
export interface RedisProgram {
  /** As it names itself. */
  readonly version: string;
  readonly command: string;
  /** In front of all others. */
  readonly args: readonly string[];
}

/** The release of Debian whose packages bring Redis 8. They run beside those of another release: the folder has a loader and libraries of its own. */
const RELEASE = 'trixie';
const FETCH_TIMEOUT_MS = 240_000;
const run = promisify(execFile);

/** The `redis-server` on the path. */
export function installedRedis(): RedisProgram | undefined {
  return probed('redis-server', []);
}

/** Redis 8, if {@link fetchRedis8} has brought it. */
export function fetchedRedis8(): RedisProgram | undefined {
  const root = rootFolder();
  const [loader] = existsSync(root) ? globSync(join(root, 'usr/lib*/ld-linux-*.so.*')) : [];
  const [libraries] = existsSync(root) ? globSync(join(root, 'usr/lib/*-linux-gnu*')) : [];
  if (loader === undefined || libraries === undefined) {
    return undefined;
  }
  return probed(loader, ['--library-path', libraries, join(root, 'usr/bin/redis-server')]);
}

/**
 * Brings Redis 8 out of Debian's packages (13 MB, from the mirror that the system itself is set up with), unless it is there. Nothing is installed: the system's
 * own packages and lists stay as they are. At most four minutes.
 *
 * @throws Error that says what is missing.
 */
export async function fetchRedis8(): Promise<RedisProgram> {
  const fetched = fetchedRedis8() ?? (await download(), fetchedRedis8());
  if (fetched === undefined) {
    throw new Error(`The redis-server in ${rootFolder()} does not start; remove the folder to fetch it again.`);
  }
  return fetched;
}

async function download(): Promise<void> {
  const source = debianSource();
  if (source === undefined) {
    throw new Error('Redis 8 is fetched as packages by apt, which is not set up for Debian here.');
  }
  const work = await mkdtemp(join(cacheFolder('redis-8'), 'fetch-'));
  try {
    const sources = join(work, `${RELEASE}.sources`);
    await writeFile(
      sources,
      `Types: deb\nURIs: ${source.uri}\nSuites: ${RELEASE}\nComponents: main\n${source.signedBy}`,
    );
    await writeFile(join(work, 'status'), '');
    await Promise.all(['lists', 'cache', 'root'].map((name) => mkdir(join(work, name))));
    const apt = [
      `Dir::Etc::sourcelist=${sources}`,
      'Dir::Etc::sourceparts=-',
      `Dir::State::lists=${join(work, 'lists')}`,
      `Dir::State::status=${join(work, 'status')}`,
      `Dir::Cache=${join(work, 'cache')}`,
      'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
      'Acquire::Languages=none',
      'APT::Sandbox::User=root',
      'Debug::NoLocking=1',
    ].flatMap((option) => ['-o', option]);
    const timeout = FETCH_TIMEOUT_MS / 2;
    await run('apt-get', [...apt, 'update', '--quiet'], { timeout });
    const install = ['install', '--quiet', '--yes', '--download-only', '--no-install-recommends', 'redis-server'];
    await run('apt-get', [...apt, ...install], { timeout });
    const archives = join(work, 'cache', 'archives');
    for (const file of readdirSync(archives).filter((name) => name.endsWith('.deb'))) {
      await run('dpkg-deb', ['--extract', join(archives, file), join(work, 'root')], { timeout });
    }
    await rename(join(work, 'root'), rootFolder()).catch((error: unknown) => {
      // Another run may have been quicker; its files are the same.
      if (fetchedRedis8() === undefined) {
        throw error;
      }
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function rootFolder(): string {
  return join(cacheFolder('redis-8'), 'root');
}

/** Where this Debian gets its own packages, in either of the two forms that apt reads. */
function debianSource(): { readonly uri: string; readonly signedBy: string } | undefined {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const codename = /^VERSION_CODENAME=(\w+)/m.exec(release)?.[1];
  if (codename === undefined || !/^ID=debian$/m.test(release)) {
    return undefined;
  }
  for (const file of globSync('/etc/apt/sources.list.d/*.sources')) {
    for (const stanza of readFileSync(file, 'utf8').split(/\n\s*\n/)) {
      const field = (name: string): string => new RegExp(`^${name}:(.*)$`, 'mi').exec(stanza)?.[1]?.trim() ?? '';
      const [uri] = field('URIs').split(/\s+/);
      if (uri && field('Suites').split(/\s+/).includes(codename)) {
        const signedBy = field('Signed-By');
        return { uri, signedBy: signedBy === '' ? '' : `Signed-By: ${signedBy}\n` };
      }
    }
  }
  for (const file of ['/etc/apt/sources.list', ...globSync('/etc/apt/sources.list.d/*.list')].filter(existsSync)) {
    const line = new RegExp(String.raw`^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+${codename}\s.*\bmain\b`, 'm');
    const uri = line.exec(readFileSync(file, 'utf8'))?.[1];
    if (uri !== undefined) {
      return { uri, signedBy: '' };
    }
  }
  return undefined;
}

function probed(command: string, args: readonly string[]): RedisProgram | undefined {
  const { stdout, status } = spawnSync(command, [...args, '--version'], { encoding: 'utf8' });
  const version = status === 0 ? /v=(\S+)/.exec(stdout)?.[1] : undefined;
  return version === undefined ? undefined : { version, command, args };
}
