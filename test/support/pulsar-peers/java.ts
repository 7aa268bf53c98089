import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type PulsarRuntime } from '../pulsar/runtime.js';
import { Peer } from './peer.js';

/** Something that can be had, or a sentence that says what is missing. */
export type Search<T> =
  { readonly available: true; readonly value: T } | { readonly available: false; readonly reason: string };

const COMPILE_TIMEOUT_MS = 60_000;

const LOGGING = `<Configuration status="error">
  <Appenders><Console name="c" target="SYSTEM_ERR"><PatternLayout pattern="%-5p %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="c"/></Root></Loggers>
</Configuration>
`;

/** Peers in Java: a source of this folder, compiled for this run against the jars of the server, which hold the official client. */
export class JavaPeers implements Disposable {
  readonly #java: string;
  readonly #classpath: string;
  readonly #folder: string;

  private constructor(java: string, jars: string, folder: string) {
    this.#java = java;
    this.#classpath = `${folder}:${jars}`;
    this.#folder = folder;
  }

  /** Compiles the sources. */
  static async compile(runtime: PulsarRuntime, ...sources: readonly string[]): Promise<Search<JavaPeers>> {
    if (runtime.kind === 'docker') {
      return missing('the server runs from an image, without jars on this machine: unset or set SERVICES_RUNTIME=java');
    }
    const beside = join(dirname(runtime.java), 'javac');
    const javac = existsSync(beside) ? beside : 'javac';
    const folder = mkdtempSync(join(tmpdir(), 'smartpulse-peers-'));
    const here = dirname(fileURLToPath(import.meta.url));
    try {
      await promisify(execFile)(
        javac,
        ['-cp', runtime.classpath, '-d', folder, '-proc:none', ...sources.map((source) => join(here, source))],
        { timeout: COMPILE_TIMEOUT_MS },
      );
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        return missing('javac is missing: apt-get install -y --no-install-recommends default-jdk-headless');
      }
      throw error;
    }
    writeFileSync(join(folder, 'log4j2.xml'), LOGGING);
    return { available: true, value: new JavaPeers(runtime.java, runtime.classpath, folder) };
  }

  /** Starts a class of the compiled sources. */
  start(mainClass: string, args: readonly string[], memoryMiB = 256): Peer {
    const logging = join(this.#folder, 'log4j2.xml');
    return Peer.start({
      name: `the Java client (${mainClass})`,
      command: this.#java,
      args: [`-Xmx${memoryMiB}m`, `-Dlog4j2.configurationFile=${logging}`, '-cp', this.#classpath, mainClass, ...args],
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function missing(what: string): { readonly available: false; readonly reason: string } {
  return { available: false, reason: `The official Java client cannot be started: ${what}` };
}
