import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../process/cache-folder.js';

/** The release that every test runs on; the service of docker-compose.yml names it too. */
export const PULSAR_VERSION = '4.2.4';

const FETCH_TIMEOUT_MS = 300_000;
const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';

/**
 * The imported list of versions is needed: without it the OpenTelemetry and log4j versions that Maven picks clash, and the broker ends with
 * NoSuchMethodError.
 */
const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>smartpulse.test</groupId><artifactId>pulsar-server</artifactId><version>1</version>
  <dependencyManagement><dependencies><dependency>
    <groupId>org.apache.pulsar</groupId><artifactId>pulsar</artifactId><version>${PULSAR_VERSION}</version>
    <type>pom</type><scope>import</scope>
  </dependency></dependencies></dependencyManagement>
  <dependencies><dependency>
    <groupId>org.apache.pulsar</groupId><artifactId>pulsar-broker</artifactId><version>${PULSAR_VERSION}</version>
  </dependency></dependencies>
</project>
`;

/** The folder with the released jars of the server (242 MB), whether or not it is there yet. */
export function jarsFolder(): string {
  return join(cacheFolder(`pulsar-${PULSAR_VERSION}`), 'jars');
}

/** Whether the jars are there: the folder gets its name when it is complete. */
export function hasJars(): boolean {
  return existsSync(jarsFolder());
}

/** Brings the jars from Maven Central (or the mirror of the user's Maven settings), unless they are there. At most five minutes. */
export async function fetchJars(): Promise<void> {
  if (hasJars()) {
    return;
  }
  const work = await mkdtemp(join(cacheFolder(`pulsar-${PULSAR_VERSION}`), 'fetch-'));
  try {
    await writeFile(join(work, 'pom.xml'), POM);
    await mkdir(join(work, 'jars'));
    const goal = [`${DEPENDENCY_PLUGIN}:copy-dependencies`, '-DoutputDirectory=jars', '-DincludeScope=runtime'];
    await promisify(execFile)('mvn', ['--batch-mode', '--quiet', '-Dstyle.color=never', ...goal], {
      cwd: work,
      timeout: FETCH_TIMEOUT_MS,
    });
    await rename(join(work, 'jars'), jarsFolder()).catch((error: unknown) => {
      // Another run may have been quicker; its jars are the same.
      if (!hasJars()) {
        throw error;
      }
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
