import {
  type SqlEngine,
  type SqlIsolation,
  type SqlLogin,
  type SqlMessage,
  type SqlReply,
  type SqlRequest,
  SqlServerFault,
  type SqlSession,
  type SqlType,
  type SqlValue,
} from '../support/sql-server/seam.js';

/** What a scripted statement answers. */
export type Answer = (request: SqlRequest) => Iterable<SqlReply> | AsyncIterable<SqlReply>;

/** An engine that knows what a test told it, and notes what it was asked. What it was not told has no result. */
export class ScriptedEngine implements SqlEngine {
  readonly logins: SqlLogin[] = [];
  readonly requests: SqlRequest[] = [];
  /** Transaction events in order: `begin snapshot`, `save a`, `commit`, `rollback a`, `reset`, `close`. */
  readonly events: string[] = [];
  password = 'right';
  private readonly answers: { readonly match: RegExp; readonly answer: Answer }[] = [];
  private lastDescriptor = 0n;

  when(match: RegExp, answer: Answer | readonly SqlReply[]): this {
    this.answers.push({ match, answer: typeof answer === 'function' ? answer : () => answer });
    return this;
  }

  async login(login: SqlLogin): Promise<SqlSession> {
    this.logins.push(login);
    if (login.password !== this.password) {
      throw new SqlServerFault(message(18_456, `Login failed for user '${login.user}'.`, { class: 14, state: 8 }));
    }
    return new ScriptedSession(this);
  }

  answerTo(request: SqlRequest): ReturnType<Answer> {
    this.requests.push(request);
    return this.answers.find(({ match }) => match.test(request.sql))?.answer(request) ?? [];
  }

  nextDescriptor(): bigint {
    this.lastDescriptor += 1n;
    return this.lastDescriptor;
  }
}

class ScriptedSession implements SqlSession {
  private open: bigint | undefined;

  constructor(private readonly engine: ScriptedEngine) {}

  async *execute(request: SqlRequest): AsyncGenerator<SqlReply> {
    for await (const reply of this.engine.answerTo(request)) {
      if (reply.kind === 'transaction') {
        this.open = reply.event === 'begun' ? reply.descriptor : undefined;
      }
      yield reply;
    }
  }

  async *begin(isolation: SqlIsolation | undefined, name?: string): AsyncGenerator<SqlReply> {
    this.note('begin', isolation, name);
    this.open = this.engine.nextDescriptor();
    yield { kind: 'transaction', event: 'begun', descriptor: this.open };
  }

  async *commit(name?: string): AsyncGenerator<SqlReply> {
    this.note('commit', name);
    yield* this.end('committed');
  }

  async *rollback(name?: string): AsyncGenerator<SqlReply> {
    this.note('rollback', name);
    // A name is a savepoint: the transaction goes on.
    yield* name === undefined ? this.end('rolledBack') : [];
  }

  async *save(name: string): AsyncGenerator<SqlReply> {
    this.note('save', name);
    yield* [];
  }

  reset(): void {
    this.note('reset');
    this.open = undefined;
  }

  close(): void {
    this.note('close');
  }

  private *end(event: 'committed' | 'rolledBack'): Generator<SqlReply> {
    if (this.open !== undefined) {
      yield { kind: 'transaction', event, descriptor: this.open };
      this.open = undefined;
    }
  }

  private note(...words: readonly (string | undefined)[]): void {
    this.engine.events.push(words.filter((word) => word !== undefined).join(' '));
  }
}

/** A result of one column. */
export function column(type: SqlType, values: readonly SqlValue[], name = 'value'): readonly SqlReply[] {
  return [
    { kind: 'columns', columns: [{ name, type }] },
    ...values.map((value): SqlReply => ({ kind: 'row', values: [value] })),
    { kind: 'done', rows: values.length },
  ];
}

/** A result of whole numbers. */
export function numbers(...values: readonly number[]): readonly SqlReply[] {
  return column({ name: 'int', nullable: true }, values.map(BigInt));
}

/** An error or a piece of information of the server. */
export function message(number: number, text: string, more: Partial<SqlMessage> = {}): SqlMessage {
  return { number, message: text, class: 16, state: 1, line: 1, ...more };
}
