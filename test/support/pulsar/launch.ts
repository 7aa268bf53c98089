import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ServerProcess } from '../process/server-process.js';
import { type PulsarRuntime } from './runtime.js';

/** One Java process of Pulsar. */
export interface PulsarCommand {
  /** For messages, and part of a container's name. */
  readonly name: string;
  readonly mainClass: string;
  readonly args: readonly string[];
  /** Holds configuration and data; the working directory. */
  readonly folder: string;
  readonly logFile: string;
  /** Heap, and as much again for buffers outside it, at most. */
  readonly memoryMiB: number;
  /** Compiles for speed instead of a quick start: for benchmarks. @defaultValue false */
  readonly optimised?: boolean | undefined;
  /** Where Java writes the classes that it has loaded when it ends, for later starts. */
  readonly classArchiveTo?: string | undefined;
  readonly detached?: boolean | undefined;
}

const LOGGING = `<Configuration status="error">
  <Appenders><Console name="c"><PatternLayout pattern="%d{HH:mm:ss.SSS} %-5p [%t] %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="c"/></Root></Loggers>
</Configuration>
`;

/** Starts one process of Pulsar, on this machine or in a container that shares its network and the folder: the rest is the same for both. */
export function launch(runtime: PulsarRuntime, command: PulsarCommand): ServerProcess {
  const { name, folder, logFile, detached } = command;
  const logging = join(folder, 'log4j2.xml');
  writeFileSync(logging, LOGGING);
  // Java unpacks native libraries there, and one that is killed leaves them behind.
  const temporary = join(folder, 'temporary');
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary);
  const java = [
    `-Xmx${command.memoryMiB}m`,
    `-XX:MaxDirectMemorySize=${command.memoryMiB}m`,
    '-XX:+UseSerialGC',
    ...classArchive(runtime, command),
    ...(command.optimised === true ? [] : ['-XX:TieredStopAtLevel=1']),
    `-Dlog4j2.configurationFile=${logging}`,
    `-Djava.io.tmpdir=${temporary}`,
    '-cp',
    runtime.classpath,
    command.mainClass,
    ...command.args,
  ];
  if (runtime.kind === 'java') {
    return ServerProcess.start({ name, command: runtime.java, args: java, folder, logFile, detached });
  }
  const container = `smartpulse-${name}-${process.pid}-${Date.now()}`;
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  const place = ['--network', 'host', '--user', user, '--volume', `${folder}:${folder}`, '--workdir', folder];
  // The image replaces the snappy library of the jar, which needs another C library, by its own.
  const inImage = ['java', '-Dorg.xerial.snappy.use.systemlib=true', ...java];
  return ServerProcess.start({
    name,
    command: 'docker',
    args: ['run', '--rm', '--name', container, ...place, runtime.image, ...inImage],
    folder,
    logFile,
    detached,
    // The command in the foreground passes this one on to the container.
    deathSignal: 'SIGTERM',
    deliver: async (signal) => signalContainer(container, signal),
  });
}

/** Java goes on without an archive that does not fit. */
function classArchive(runtime: PulsarRuntime, { classArchiveTo }: PulsarCommand): readonly string[] {
  if (classArchiveTo !== undefined) {
    return [`-XX:ArchiveClassesAtExit=${classArchiveTo}`];
  }
  return runtime.kind === 'java' && existsSync(runtime.classArchive)
    ? [`-XX:SharedArchiveFile=${runtime.classArchive}`, '-Xshare:auto']
    : [];
}

async function signalContainer(container: string, signal: NodeJS.Signals): Promise<void> {
  const verbs: Partial<Record<NodeJS.Signals, readonly string[]>> = { SIGSTOP: ['pause'], SIGCONT: ['unpause'] };
  await promisify(execFile)('docker', [...(verbs[signal] ?? ['kill', '--signal', signal]), container]);
}
