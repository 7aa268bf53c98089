import {
  type SqlIsolation,
  type SqlReply,
  type SqlRequest,
  SqlServerFault,
  type SqlSession,
  type SqlValue,
} from '../../../seam.js';
import { EngineFault } from '../../errors/fault.js';
import { tooManyParameters } from '../../errors/query-faults.js';
import { killed } from '../../errors/transaction-faults.js';
import { type Table } from '../../storage/table.js';
import { type ValueType } from '../../values/value-type.js';
import { Environment } from '../compile/environment.js';
import { type Statement } from '../parse/ast.js';
import { parseDeclarations } from '../parse/parse-declarations.js';
import { type SessionState } from '../session-state.js';
import { BatchRunner, errorReply } from './batch.runner.js';
import { BatchPlans } from './prepared-texts.js';
import { type Outcome } from './procedures.js';
import { SessionTransaction } from './session-transaction.js';

const MOST_PARAMETERS = 2_100;

/** What a text answers, some replies at a time. */
type Replies<T = void> = AsyncGenerator<readonly SqlReply[], T>;

/** The server side of a connection. */
export class EngineSession implements SqlSession {
  readonly #transaction: SessionTransaction;
  #ended: 'open' | 'killed' | 'closed' = 'open';
  readonly #running = new Set<AbortController>();

  constructor(
    readonly state: SessionState,
    private readonly onClose: (session: EngineSession) => void,
  ) {
    this.#transaction = new SessionTransaction(state);
  }

  /** Whether it was neither closed nor killed. */
  get isOpen(): boolean {
    return this.#ended === 'open';
  }

  execute(request: SqlRequest): AsyncGenerator<SqlReply> {
    return this.#guarded(this.#request(request), request.signal);
  }

  begin(isolation: SqlIsolation | undefined, name?: string): AsyncGenerator<SqlReply> {
    return this.#control(() => this.#transaction.begin(name, isolation));
  }

  commit(): AsyncGenerator<SqlReply> {
    return this.#control(() => this.#transaction.commit());
  }

  rollback(name?: string): AsyncGenerator<SqlReply> {
    return this.#control(() => this.#transaction.rollback(name === '' ? undefined : name));
  }

  save(name: string): AsyncGenerator<SqlReply> {
    return this.#control(() => {
      this.#transaction.save(name);
      return [];
    });
  }

  reset(): void {
    this.#transaction.abandon();
    this.state.resetSettings();
  }

  close(): void {
    this.#stop('closed');
  }

  /** The next request, or the one that runs, ends with 596 and the connection. */
  kill(): void {
    this.#stop('killed');
  }

  #stop(how: 'killed' | 'closed'): void {
    if (this.#ended === 'open') {
      this.#ended = how;
      this.#transaction.abandon();
      this.#running.forEach((request) => request.abort(killed()));
      this.onClose(this);
    }
  }

  async *#request({ sql, parameters, signal }: SqlRequest): Replies {
    if (parameters.length > MOST_PARAMETERS) {
      throw tooManyParameters();
    }
    const variables = new Map<string, SqlValue>(parameters.map(({ name, value }) => [keyOf(name), value]));
    const types = new Map<string, ValueType>(parameters.map(({ name, type }) => [keyOf(name), type]));
    const request = new AbortController();
    const abort = (): void => request.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    this.#running.add(request);
    if (!this.isOpen) {
      request.abort(killed());
    } else if (signal.aborted) {
      abort();
    }
    try {
      yield* this.#text(sql, variables, types, request.signal);
    } finally {
      this.#running.delete(request);
      signal.removeEventListener('abort', abort);
    }
    for (const { name, type, output } of parameters) {
      if (output) {
        yield [{ kind: 'output', name, type, value: variables.get(keyOf(name)) ?? null }];
      }
    }
  }

  async *#text(
    sql: string,
    variables: Map<string, SqlValue>,
    types: Map<string, ValueType>,
    signal: AbortSignal,
  ): Replies<Outcome> {
    // Before the batch adds its own variables to them.
    const declared = new Map(types);
    const { prepared, batches } = this.state.server;
    const known = prepared.find(this.state, sql, declared);
    const environment = new Environment(this.state, known?.variables ?? types, new Map<string, Table>());
    const plans = known?.plans ?? new BatchPlans();
    const said: SqlReply[] = [];
    const runner = new BatchRunner(
      this.state,
      this.#transaction,
      environment,
      plans,
      variables,
      signal,
      (reply) => void said.push(reply),
      async (text, given, declarations) => {
        const replies = this.#text(text, given, parseDeclarations(declarations ?? ''), signal);
        for (;;) {
          const next = await replies.next();
          if (next.done === true) {
            return next.value;
          }
          said.push(...next.value);
        }
      },
    );
    let statements: readonly Statement[];
    try {
      statements = known?.statements ?? batches.parse(sql);
      if (known === undefined) {
        runner.check(statements);
      }
    } catch (error) {
      if (!(error instanceof EngineFault)) {
        throw error;
      }
      this.state.lastError = error.details.number;
      yield [errorReply(error), { kind: 'done', rows: undefined }];
      return 'aborted';
    }
    if (known === undefined) {
      prepared.keep(this.state, sql, declared, { statements, environment, plans });
    }
    let outcome: Outcome = 'done';
    for (const statement of statements) {
      try {
        outcome = await runner.run(statement);
      } catch (error) {
        yield said;
        throw error;
      }
      if (outcome !== 'done') {
        break;
      }
      if (said.length > 0) {
        yield said.splice(0);
      }
    }
    runner.finish();
    yield said;
    return outcome;
  }

  #control(work: () => readonly SqlReply[]): AsyncGenerator<SqlReply> {
    return this.#guarded(
      (async function* (): Replies {
        yield [...work(), { kind: 'done', rows: undefined }];
      })(),
      new AbortController().signal,
    );
  }

  /** Errors become replies; after an attention nothing more is said. */
  async *#guarded(replies: Replies, signal: AbortSignal): AsyncGenerator<SqlReply> {
    if (this.#ended === 'killed') {
      yield errorReply(killed());
      return;
    }
    try {
      for await (const some of replies) {
        yield* some;
      }
    } catch (error) {
      if (signal.aborted) {
        yield* this.#interrupted();
      } else if (error instanceof SqlServerFault) {
        yield errorReply(error);
        yield { kind: 'done', rows: undefined };
      } else {
        throw error;
      }
    }
  }

  /** An attention rolls back the open transaction only under XACT_ABORT. */
  *#interrupted(): Generator<SqlReply> {
    if (this.state.xactAbort) {
      yield* this.#transaction.abandon();
    }
  }
}

function keyOf(name: string): string {
  return (name.startsWith('@') ? name : `@${name}`).toLowerCase();
}
