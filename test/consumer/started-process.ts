import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** How a process is started. */
export interface ProcessOptions {
  readonly cwd: string;
  /** Laid over the environment of the tests; `undefined` takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** How a process ended. */
export interface Ending {
  /** Its exit code, or the signal that killed it. */
  readonly code: number | NodeJS.Signals | null;
  /** Both streams in the order of arrival, without colours. */
  readonly output: string;
}

/** Escape sequences of colours. */
const COLOURS = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g');

/** A child process, the leader of a group of its own, as a terminal starts one. */
export class StartedProcess {
  readonly #child;
  readonly #ended: Promise<Ending>;
  readonly #waiting = new Set<() => void>();
  #output = '';

  constructor(command: string, args: readonly string[], { cwd, env }: ProcessOptions) {
    this.#child = spawn(command, args, {
      cwd,
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        this.#output += chunk.replaceAll(COLOURS, '');
        this.#waiting.forEach((look) => look());
      });
    }
    // `close`, not `exit`: then everything that it wrote has arrived, and nobody else holds its streams.
    this.#ended = once(this.#child, 'close').then(([code, signal]: (number | NodeJS.Signals | null)[]) => {
      this.#waiting.forEach((look) => look());
      return { code: code ?? signal ?? null, output: this.#output };
    });
  }

  get output(): string {
    return this.#output;
  }

  /** Resolves when it has ended and its streams are closed. */
  get ended(): Promise<Ending> {
    return this.#ended;
  }

  /** Resolves with the match as soon as it has written it; rejects when it ends without. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    return await new Promise<RegExpExecArray>((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(this.#output);
        if (match !== null) {
          this.#waiting.delete(look);
          resolve(match);
        } else if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
          this.#waiting.delete(look);
          reject(new Error(`It ended before it wrote ${pattern.source}: ${this.#output}`));
        }
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Sends a signal to the process alone, as an orchestrator does. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends a signal to it and all it has started, as a terminal does for Ctrl+C. */
  killGroup(signal: NodeJS.Signals): void {
    process.kill(-this.#pid, signal);
  }

  /** Whether it or anything that it has started still runs. */
  get groupRuns(): boolean {
    try {
      process.kill(-this.#pid, 0);
      return true;
    } catch {
      return false;
    }
  }

  /** Ends what is left, whatever state the test is in. */
  async clear(): Promise<void> {
    if (this.groupRuns) {
      this.killGroup('SIGKILL');
    }
    await this.#ended;
  }

  get #pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) {
      throw new Error('It could not be started.');
    }
    return pid;
  }
}
