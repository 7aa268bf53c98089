import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { deathSignalCommand } from './death-signal.js';

/** How to start a server. */
export interface ServerCommand {
  /** For messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly folder: string;
  /** Receives both output streams; appended to. */
  readonly logFile: string;
  /** The server outlives this process, as `npm run services:up` wants it. @defaultValue false */
  readonly detached?: boolean | undefined;
  /** What the server gets when this process dies without stopping it, where the system can do that. @defaultValue 'SIGKILL' */
  readonly deathSignal?: 'SIGKILL' | 'SIGTERM' | undefined;
  /** Sends a signal where that takes more than the id of the process; not called for a process that has ended. */
  readonly deliver?: ((signal: NodeJS.Signals) => Promise<void>) | undefined;
}

/** How long to wait, in milliseconds. */
export interface StopOptions {
  /** Between asking and killing. @defaultValue 15_000 */
  readonly graceMs?: number | undefined;
}

const POLL_INTERVAL_MS = 100;
const LOG_TAIL_LINES = 25;

/** A server that did not become ready: says why, with the end of its log. */
export class ServerStartError extends Error {
  override readonly name = 'ServerStartError';
}

/** One server process of a test run. Stopped by its own process id, and by the system when the run dies before. */
export class ServerProcess {
  readonly #command: ServerCommand;
  readonly #child: ChildProcess;
  /** Resolves with a sentence's end, "exit code 1" or "signal SIGKILL", when the process is gone. */
  readonly ended: Promise<string>;
  #end: string | undefined;

  private constructor(command: ServerCommand, child: ChildProcess) {
    this.#command = command;
    this.#child = child;
    const killWithUs = (): void => {
      child.kill('SIGKILL');
    };
    if (command.detached !== true) {
      process.once('exit', killWithUs);
    }
    this.ended = new Promise((resolve) => {
      const settle = (end: string): void => {
        process.removeListener('exit', killWithUs);
        this.#end = end;
        resolve(end);
      };
      child.once('error', (error) => {
        settle(error.message);
      });
      child.once('exit', (code, signal) => {
        settle(signal === null ? `exit code ${code}` : `signal ${signal}`);
      });
    });
  }

  /** Starts the process; it need not be ready when this returns. */
  static start(command: ServerCommand): ServerProcess {
    const detached = command.detached === true;
    const [file, ...args] = detached
      ? [command.command, ...command.args]
      : deathSignalCommand(command.deathSignal ?? 'SIGKILL', command.command, command.args);
    const log = openSync(command.logFile, 'a');
    try {
      const child = spawn(file, args, { cwd: command.folder, stdio: ['ignore', log, log], detached });
      if (detached) {
        child.unref();
      }
      return new ServerProcess(command, child);
    } finally {
      closeSync(log);
    }
  }

  /** The id of the process; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#end === undefined;
  }

  /** Asks until the answer is yes. Fails at once when the process ends, and when the time is over; it is left running then. */
  async whenReady(isReady: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await isReady())) {
      if (this.#end !== undefined) {
        throw new ServerStartError(`${this.#command.name} ended before it was ready (${this.#end}). ${this.logTail()}`);
      }
      if (performance.now() > deadline) {
        throw new ServerStartError(`${this.#command.name} was not ready after ${timeoutMs} ms. ${this.logTail()}`);
      }
      await Promise.race([sleep(POLL_INTERVAL_MS), this.ended]);
    }
  }

  /** Sends a signal, if the process is still there. `SIGSTOP` freezes it with its connections open, `SIGCONT` wakes it. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    if (!this.running) {
      return;
    }
    if (this.#command.deliver === undefined) {
      this.#child.kill(signal);
    } else {
      await this.#command.deliver(signal);
    }
  }

  /** Freezes the process with its connections open; resolves when none of its threads runs any more. `SIGCONT` wakes it. */
  async freeze(): Promise<void> {
    await this.signal('SIGSTOP');
    while (this.running && this.#command.deliver === undefined && !hasStopped(this.pid)) {
      // A signal is delivered when its process is next scheduled: on a busy machine it may answer once more before.
      await Promise.race([sleep(POLL_INTERVAL_MS / 10), this.ended]);
    }
  }

  /** Ends the process without warning; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.signal('SIGKILL');
    await this.ended;
  }

  /** Asks the process to end, kills it when it has not after the grace time; resolves when it is gone. */
  async stop({ graceMs = 15_000 }: StopOptions = {}): Promise<void> {
    await this.signal('SIGTERM');
    const grace = new AbortController();
    await Promise.race([this.ended, sleep(graceMs, undefined, { signal: grace.signal }).catch(ignoreAbort)]);
    grace.abort();
    await this.kill();
  }

  /** Where the log is and its last lines. */
  logTail(): string {
    const lines = readFileSync(this.#command.logFile, 'utf8').trimEnd().split('\n');
    return `Its log is ${this.#command.logFile} and ends with:\n${lines.slice(-LOG_TAIL_LINES).join('\n')}`;
  }
}

/** Whether every thread of a process is stopped. Where the system does not say, it is taken to be. */
function hasStopped(pid: number | undefined): boolean {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) {
    return true;
  }
  return readdirSync(tasks).every((task) => {
    try {
      // The name in brackets may hold anything; the state follows the last of them.
      return readFileSync(`${tasks}/${task}/stat`, 'utf8').split(') ').at(-1)?.startsWith('T') === true;
    } catch {
      // It ended meanwhile.
      return true;
    }
  });
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) {
    throw error;
  }
}
