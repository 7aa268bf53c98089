import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { deathSignalCommand } from '../process/death-signal.js';

/** How to start a peer. */
export interface PeerCommand {
  /** For messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

interface Question {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

const STDERR_TAIL_BYTES = 4_000;
const GRACE_MS = 5_000;

/**
 * Another program with a client of its own: takes one JSON value a line on its standard input and answers each by one on its standard output, in
 * order; `{"error": …}` is a failure. Other lines are the client's own talk.
 */
export class Peer implements AsyncDisposable {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #questions: Question[] = [];
  readonly #ended: Promise<void>;
  #end: string | undefined;
  #talk = '';

  private constructor({ name, command, args }: PeerCommand) {
    this.#name = name;
    const [file, ...rest] = deathSignalCommand('SIGKILL', command, args);
    this.#child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    const { stdin, stdout, stderr } = this.#child;
    if (stdin === null || stdout === null || stderr === null) {
      throw new Error(`${name} has no streams`);
    }
    // A peer that died tells so by its end; what was still being written to it says nothing more.
    stdin.on('error', () => {});
    stderr.on('data', (chunk: Buffer) => this.#listen(chunk.toString()));
    createInterface({ input: stdout }).on('line', (line) => {
      if (line.startsWith('{')) {
        this.#answered(line);
      } else {
        this.#listen(`${line}\n`);
      }
    });
    this.#ended = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#end ??= how;
        this.#questions.splice(0).forEach(({ reject }) => reject(this.#gone()));
        resolve();
      };
      this.#child.once('error', (error) => end(error.message));
      this.#child.once('close', (code, signal) => end(signal === null ? `exit code ${code}` : `signal ${signal}`));
    });
  }

  static start(command: PeerCommand): Peer {
    return new Peer(command);
  }

  /** Resolves by the answer to this question. A peer that takes longer is killed. */
  async ask<T>(question: object, timeoutMs = 30_000): Promise<T> {
    if (this.#end !== undefined) {
      throw this.#gone();
    }
    const timer = setTimeout(() => {
      this.#end = `no answer within ${timeoutMs} ms`;
      this.#child.kill('SIGKILL');
    }, timeoutMs);
    try {
      return (await new Promise<unknown>((resolve, reject) => {
        this.#questions.push({ resolve, reject });
        this.#child.stdin?.write(`${JSON.stringify(question)}\n`);
      })) as T;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the peer in order, by the end of its input; kills it when it stays. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #answered(line: string): void {
    const question = this.#questions.shift();
    const answer = JSON.parse(line) as { readonly error?: string };
    if (answer.error === undefined) {
      question?.resolve(answer);
    } else {
      question?.reject(new Error(`${this.#name}: ${answer.error}`));
    }
  }

  #listen(text: string): void {
    this.#talk = (this.#talk + text).slice(-STDERR_TAIL_BYTES);
  }

  #gone(): Error {
    return new Error(`${this.#name} is gone (${this.#end}). It said last:\n${this.#talk}`);
  }
}
