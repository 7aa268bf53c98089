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
import { PreparedTexts } from './prepared-texts.js';
import { type Outcome } from './procedures.js';
import { SessionTransaction } from './session-transaction.js';

const MOST_PARAMETERS = 2_100;

/** The server side of a connection. */
export class EngineSession implements SqlSession {
  readonly #transaction: SessionTransaction;
  readonly #prepared: PreparedTexts;
  #ended: 'open' | 'killed' | 'closed' = 'open';
  readonly #end = new AbortController();

  constructor(
    readonly state: SessionState,
    private readonly onClose: (session: EngineSession) => void,
  ) {
    this.#transaction = new SessionTransaction(state);
    this.#prepared = new PreparedTexts(state);
  }

  /** Whether it was neither closed nor killed. */
  get isOpen(): boolean {
    return this.#ended === 'open';
  }

  async *execute(request: SqlRequest): AsyncGenerator<SqlReply> {
    yield* this.#guarded(this.#request(request), request.signal);
  }

  async *begin(isolation: SqlIsolation | undefined, name?: string): AsyncGenerator<SqlReply> {
    yield* this.#control(() => this.#transaction.begin(name, isolation));
  }

  async *commit(): AsyncGenerator<SqlReply> {
    yield* this.#control(() => this.#transaction.commit());
  }

  async *rollback(name?: string): AsyncGenerator<SqlReply> {
    yield* this.#control(() => this.#transaction.rollback(name === '' ? undefined : name));
  }

  async *save(name: string): AsyncGenerator<SqlReply> {
    yield* this.#control(() => {
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
      this.#end.abort(killed());
      this.onClose(this);
    }
  }

  async *#request({ sql, parameters, signal }: SqlRequest): AsyncGenerator<SqlReply> {
    if (parameters.length > MOST_PARAMETERS) {
      throw tooManyParameters();
    }
    const variables = new Map<string, SqlValue>(parameters.map(({ name, value }) => [keyOf(name), value]));
    const types = new Map<string, ValueType>(parameters.map(({ name, type }) => [keyOf(name), type]));
    yield* this.#text(sql, variables, types, AbortSignal.any([signal, this.#end.signal]));
    for (const { name, type, output } of parameters) {
      if (output) {
        yield { kind: 'output', name, type, value: variables.get(keyOf(name)) ?? null };
      }
    }
  }

  async *#text(
    sql: string,
    variables: Map<string, SqlValue>,
    types: Map<string, ValueType>,
    signal: AbortSignal,
  ): AsyncGenerator<SqlReply, Outcome> {
    // Before the batch adds its own variables to them.
    const declared = new Map(types);
    const known = this.#prepared.find(sql, declared);
    const { environment, plans } = known ?? {
      environment: new Environment(this.state, types, new Map<string, Table>()),
      plans: new Map(),
    };
    const runner = new BatchRunner(
      this.state,
      this.#transaction,
      environment,
      plans,
      variables,
      signal,
      (text, given, declarations) => this.#text(text, given, parseDeclarations(declarations ?? ''), signal),
    );
    let statements: readonly Statement[];
    try {
      statements = known?.statements ?? this.state.server.batches.parse(sql);
      runner.check(statements);
    } catch (error) {
      if (!(error instanceof EngineFault)) {
        throw error;
      }
      this.state.lastError = error.details.number;
      yield errorReply(error);
      yield { kind: 'done', rows: undefined };
      return 'aborted';
    }
    this.#prepared.keep(sql, declared, { statements, environment, plans });
    const outcome = yield* runner.run(statements);
    yield* runner.finish();
    return outcome;
  }

  async *#control(work: () => readonly SqlReply[]): AsyncGenerator<SqlReply> {
    yield* this.#guarded(
      (async function* (): AsyncGenerator<SqlReply> {
        yield* work();
        yield { kind: 'done', rows: undefined };
      })(),
      new AbortController().signal,
    );
  }

  /** Errors become replies; after an attention nothing more is said. */
  async *#guarded(replies: AsyncGenerator<SqlReply>, signal: AbortSignal): AsyncGenerator<SqlReply> {
    if (this.#ended === 'killed') {
      yield errorReply(killed());
      return;
    }
    try {
      yield* replies;
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
