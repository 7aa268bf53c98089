import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { fetchJars, hasJars, jarsFolder, PULSAR_VERSION } from './jars.js';

/** What Pulsar's processes run on. */
export type PulsarRuntime =
  | {
      readonly kind: 'java';
      readonly java: string;
      readonly classpath: string;
      /** Where the classes of a start are kept, or would be: an archive of this very Java. */
      readonly classArchive: string;
    }
  | { readonly kind: 'docker'; readonly image: string; readonly classpath: string };

/** A runtime, or a sentence that says what is missing and how to get it. */
export type RuntimeSearch =
  | { readonly available: true; readonly runtime: PulsarRuntime }
  | { readonly available: false; readonly reason: string };

const IMAGE = `apachepulsar/pulsar:${PULSAR_VERSION}`;
const OLDEST_JAVA = 17;
const PROBE_TIMEOUT_MS = 10_000;
const PULL_TIMEOUT_MS = 600_000;
const INSTALL = 'apt-get install -y --no-install-recommends default-jdk-headless maven';

/**
 * Finds what can run Pulsar and brings the jars or the image: Docker where a Linux engine answers, else Java. `SERVICES_RUNTIME=java` or `=docker`
 * decides otherwise.
 */
export async function preparePulsar(): Promise<RuntimeSearch> {
  const wanted = process.env['SERVICES_RUNTIME'];
  if (wanted !== 'java' && hasDockerEngine()) {
    return prepareDocker();
  }
  if (wanted === 'docker') {
    return missing('no Docker engine answers here: start one, or unset SERVICES_RUNTIME');
  }
  return prepareJava();
}

/**
 * The runtime for a suite: undefined when there is none and the suite is to be skipped, which is said on the console. Under `REQUIRE_SERVICES=1` a
 * missing runtime is an error.
 */
export async function runtimeForTests(): Promise<PulsarRuntime | undefined> {
  const search = await preparePulsar();
  if (search.available) {
    return search.runtime;
  }
  if (process.env['REQUIRE_SERVICES'] === '1') {
    throw new Error(search.reason);
  }
  console.warn(`Skipped: ${search.reason}`);
  return undefined;
}

async function prepareJava(): Promise<RuntimeSearch> {
  const found = findJava();
  if (found === undefined) {
    return missing(`Java ${OLDEST_JAVA} or later is missing: ${INSTALL} (or start a Docker engine)`);
  }
  if (!hasJars() && spawnSync('mvn', ['--version'], { timeout: PROBE_TIMEOUT_MS }).status !== 0) {
    return missing(`its jars are not in ${jarsFolder()} yet and Maven, which fetches them, is missing: ${INSTALL}`);
  }
  try {
    await fetchJars();
  } catch (error) {
    return missing(`Maven could not fetch its jars, check the network or ~/.m2/settings.xml: ${outputOf(error)}`);
  }
  const { java, version } = found;
  const release = createHash('sha256').update(version).digest('hex').slice(0, 12);
  const classArchive = join(dirname(jarsFolder()), `classes-${release}.jsa`);
  return { available: true, runtime: { kind: 'java', java, classpath: join(jarsFolder(), '*'), classArchive } };
}

async function prepareDocker(): Promise<RuntimeSearch> {
  if (spawnSync('docker', ['image', 'inspect', IMAGE], { timeout: PROBE_TIMEOUT_MS }).status !== 0) {
    try {
      await promisify(execFile)('docker', ['pull', '--quiet', IMAGE], { timeout: PULL_TIMEOUT_MS });
    } catch (error) {
      return missing(`Docker could not pull ${IMAGE}, set SERVICES_RUNTIME=java to use Java: ${outputOf(error)}`);
    }
  }
  return { available: true, runtime: { kind: 'docker', image: IMAGE, classpath: '/pulsar/lib/*' } };
}

/** Only engines that share our network: elsewhere (Docker Desktop) a container's loopback is not ours. */
function hasDockerEngine(): boolean {
  const { status, stdout } = spawnSync('docker', ['version', '--format', '{{.Server.Os}}'], {
    encoding: 'utf8',
    timeout: PROBE_TIMEOUT_MS,
  });
  return process.platform === 'linux' && status === 0 && stdout.trim() === 'linux';
}

/** The command, and all that it says of its version. */
function findJava(): { readonly java: string; readonly version: string } | undefined {
  const home = process.env['JAVA_HOME'];
  for (const java of home === undefined ? ['java'] : [join(home, 'bin', 'java'), 'java']) {
    const { stderr, status } = spawnSync(java, ['-version'], { encoding: 'utf8', timeout: PROBE_TIMEOUT_MS });
    if (status === 0 && Number(/version "(\d+)/.exec(stderr)?.[1]) >= OLDEST_JAVA) {
      return { java, version: stderr };
    }
  }
  return undefined;
}

function missing(what: string): RuntimeSearch {
  return { available: false, reason: `Pulsar ${PULSAR_VERSION} cannot be started: ${what}` };
}

/** The line that says most of what a failed command said, else what went wrong with it. */
function outputOf(error: unknown): string {
  const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
  const lines = `${stdout}\n${stderr}`.split('\n').map((line) => line.trim());
  const cause = lines.find((line) => /could not|denied|refused|timed out|timeout|unknown host/i.test(line));
  return cause ?? lines.find((line) => line !== '') ?? message;
}
