import { type SqlReply, SqlServerFault, type SqlValue } from '../../../seam.js';
import { consequenceOf, EngineFault, fault } from '../../errors/fault.js';
import { transactionCountMismatch, uncommittable } from '../../errors/transaction-faults.js';
import { LockConflict } from '../../storage/locks.js';
import { textOf } from '../../values/convert.js';
import { nvarchar } from '../../values/value-type.js';
import { otherDatabase } from '../compile/resolve-table.js';
import { type Environment } from '../compile/environment.js';
import { newFrame, type Run, type Test } from '../compile/frame.js';
import { type Condition, type Statement } from '../parse/ast.js';
import { type SessionState } from '../session-state.js';
import { type Answer, conditionOf, type FlowKind, type Plan, planOf, valueOf } from './plan.js';
import { type BatchPlans } from './prepared-texts.js';
import { type Caller, type Outcome, procedureOf, type Say, type TextRunner } from './procedures.js';
import { type SessionTransaction } from './session-transaction.js';

/** Errors of a row after which SQL Server adds that the statement has ended. */
const TERMINATING: ReadonlySet<number> = new Set([515, 547, 2601, 2627, 2628, 8115, 8134, 220, 3960]);

const FLOW: ReadonlySet<string> = new Set<FlowKind>([
  'if',
  'while',
  'block',
  'try',
  'begin',
  'commit',
  'rollback',
  'save',
  'return',
  'break',
  'continue',
  'execute',
  'executeText',
  'use',
  'print',
  'throw',
  'raiserror',
]);

type Step = Exclude<Statement, { readonly kind: FlowKind }>;

/** Runs the statements of one batch; waits for locks between attempts, and decides what an error ends. */
export class BatchRunner implements Caller {
  constructor(
    readonly session: SessionState,
    private readonly transactions: SessionTransaction,
    private readonly environment: Environment,
    private readonly plans: BatchPlans,
    private readonly variables: Map<string, SqlValue>,
    private readonly signal: AbortSignal,
    readonly say: Say,
    readonly runText: TextRunner,
  ) {}

  /**
   * Names and types of the whole batch, before any of it runs. What is not there yet may be made by the batch itself, so only that is left
   * for later.
   *
   * @throws the first mistake: nothing of the batch runs.
   */
  check(statements: readonly Statement[]): void {
    for (const statement of statements) {
      try {
        this.#checkOne(statement);
      } catch (error) {
        if (!(error instanceof EngineFault)) {
          throw error;
        }
        if (!LATER.has(error.details.number)) {
          throw error.at(statement.line);
        }
      }
    }
  }

  /** One statement of the batch. */
  run(statement: Statement): Promise<Outcome> {
    return this.#run([statement], false);
  }

  async #run(statements: readonly Statement[], guarded: boolean): Promise<Outcome> {
    for (const statement of statements) {
      this.signal.throwIfAborted();
      const outcome = await this.#guard(statement, guarded);
      if (outcome !== 'done') {
        return outcome;
      }
    }
    return 'done';
  }

  /** What is left over when the batch has ended: a transaction that can only be rolled back is. */
  finish(): void {
    if (this.session.transaction?.doomed === true) {
      const message = 'Uncommittable transaction is detected at the end of the batch. The transaction is rolled back.';
      this.say(errorReply(fault(3998, 16, 1, message)));
      this.transactions.abandon().forEach(this.say);
    }
  }

  #checkOne(statement: Statement): void {
    if (statement.kind === 'if') {
      this.#later(() => this.#condition(statement.condition));
      this.check(statement.otherwise === undefined ? [statement.chosen] : [statement.chosen, statement.otherwise]);
    } else if (statement.kind === 'while') {
      this.#later(() => this.#condition(statement.condition));
      this.check([statement.body]);
    } else if (statement.kind === 'block') {
      this.check(statement.statements);
    } else if (statement.kind === 'try') {
      this.check([...statement.body, ...statement.handler]);
    } else if (statement.kind === 'execute') {
      statement.args.forEach(({ value }) => valueOf(value, this.environment));
    } else if (isStep(statement)) {
      this.#plan(statement);
    }
  }

  #later(compile: () => unknown): void {
    try {
      compile();
    } catch (error) {
      if (!(error instanceof EngineFault) || !LATER.has(error.details.number)) {
        throw error;
      }
    }
  }

  #plan(statement: Step): Plan {
    return this.plans.of(statement, this.#metadata, () => planOf(statement, this.environment));
  }

  #condition(condition: Condition): Test {
    return this.plans.of(condition, this.#metadata, () => conditionOf(condition, this.environment));
  }

  get #metadata(): bigint {
    return this.session.server.transactions.metadataSequence;
  }

  async #guard(statement: Statement, guarded: boolean): Promise<Outcome> {
    try {
      const outcome = await this.#execute(statement, guarded);
      if (!isFlow(statement)) {
        this.session.lastError = 0;
      }
      return outcome;
    } catch (error) {
      if (!(error instanceof SqlServerFault)) {
        throw error;
      }
      const told = error instanceof EngineFault ? error.at(statement.line) : error;
      if (guarded && told.details.class < 20 && !LATER.has(told.details.number)) {
        throw told;
      }
      return this.#fail(told);
    }
  }

  /** An error outside of any TRY. */
  #fail(error: SqlServerFault): Outcome {
    const { session } = this;
    session.lastError = error.details.number;
    session.lastRowCount = 0n;
    this.say(errorReply(error));
    if (error instanceof EngineFault) {
      for (const one of error.followedBy) {
        this.say(errorReply((one as EngineFault).at(error.details.line)));
      }
    }
    const consequence = consequenceOf(error, session);
    if (TERMINATING.has(error.details.number)) {
      const message = { number: 3621, state: 0, class: 0, message: 'The statement has been terminated.' };
      this.say({ kind: 'info', message: { ...message, line: error.details.line } });
    }
    if (consequence === 'transaction') {
      this.transactions.abandon().forEach(this.say);
    }
    this.say({ kind: 'done', rows: undefined });
    return consequence === 'statement' ? 'done' : 'aborted';
  }

  async #execute(statement: Statement, guarded: boolean): Promise<Outcome> {
    if (isStep(statement)) {
      const { replies, count } = await this.#step(statement);
      this.session.lastRowCount = BigInt(count ?? 0);
      replies.forEach(this.say);
      this.say({ kind: 'done', rows: this.session.noCount ? undefined : count });
      return 'done';
    }
    switch (statement.kind) {
      case 'if': {
        const chosen = (await this.#test(statement)) ? statement.chosen : statement.otherwise;
        return chosen === undefined ? 'done' : await this.#guard(chosen, guarded);
      }
      case 'while':
        return await this.#loop(statement, guarded);
      case 'block':
        return await this.#run(statement.statements, guarded);
      case 'try':
        return await this.#try(statement, guarded);
      case 'begin':
      case 'commit':
      case 'rollback':
      case 'save':
        this.#control(statement);
        this.say({ kind: 'done', rows: undefined });
        return 'done';
      case 'execute':
      case 'executeText':
        return await this.#call(statement);
      case 'use': {
        const previous = this.session.database.name;
        this.session.database = otherDatabase(statement.database, this.session);
        this.say({ kind: 'database', name: this.session.database.name, previous });
        this.say({ kind: 'done', rows: undefined });
        return 'done';
      }
      case 'print': {
        const value = await this.#attempt((run) => valueOf(statement.value, this.environment)(run));
        const text = value === null ? '' : textOf(value, nvarchar('max'));
        this.say({ kind: 'info', message: { number: 0, state: 1, class: 0, message: text, line: statement.line } });
        this.say({ kind: 'done', rows: undefined });
        return 'done';
      }
      case 'throw':
      case 'raiserror':
        return await this.#raise(statement);
      case 'return':
      case 'break':
      case 'continue':
        return statement.kind;
      default:
        return 'done';
    }
  }

  async #step(statement: Step): Promise<Answer> {
    const { session } = this;
    session.server.faults.meet({
      sql: statement.text,
      database: session.database.name,
      user: session.user,
      sessionId: session.id,
    });
    return this.#attempt((run) => this.#plan(statement)(run));
  }

  /** One step in the open transaction, or in one of its own. A lock that is missing: undone, waited for, tried again. */
  async #attempt<T>(work: (run: Run) => T): Promise<T> {
    const { session } = this;
    const { transactions } = session.server;
    const own = session.transaction === undefined;
    const transaction = session.transaction ?? this.transactions.start();
    if (transaction.doomed) {
      throw uncommittable();
    }
    const mark = transaction.work;
    const before = new Map(this.variables);
    const run: Omit<Run, 'sequence'> = {
      session,
      transaction,
      variables: this.variables,
      nowMs: transactions.clock.now(),
      context: null,
    };
    try {
      for (;;) {
        try {
          const result = work({ ...run, sequence: transactions.sequence });
          if (own) {
            transactions.commit(transaction);
          }
          return result;
        } catch (error) {
          transaction.undoTo(mark);
          before.forEach((value, name) => this.variables.set(name, value));
          if (!(error instanceof LockConflict)) {
            throw error;
          }
          await transactions.locks.wait(transaction, error, { timeoutMs: session.lockTimeoutMs, signal: this.signal });
        }
      }
    } catch (error) {
      if (own && !transaction.ended) {
        transactions.rollback(transaction);
      }
      throw error;
    }
  }

  #test(statement: Statement & { readonly kind: 'if' | 'while' }): Promise<boolean> {
    return this.#attempt((run) => this.#condition(statement.condition)(newFrame(run, 0)) === true);
  }

  async #loop(statement: Statement & { readonly kind: 'while' }, guarded: boolean): Promise<Outcome> {
    while (await this.#test(statement)) {
      this.signal.throwIfAborted();
      const outcome = await this.#guard(statement.body, guarded);
      if (outcome === 'break') {
        return 'done';
      }
      if (outcome !== 'done' && outcome !== 'continue') {
        return outcome;
      }
    }
    return 'done';
  }

  async #try(statement: Statement & { readonly kind: 'try' }, guarded: boolean): Promise<Outcome> {
    const { session } = this;
    try {
      return await this.#run(statement.body, true);
    } catch (error) {
      if (!(error instanceof SqlServerFault)) {
        throw error;
      }
      if (session.transaction !== undefined && consequenceOf(error, session) === 'transaction') {
        session.transaction.doomed = true;
      }
      const outer = session.caught;
      session.caught = error.details;
      session.lastError = error.details.number;
      try {
        return await this.#run(statement.handler, guarded);
      } finally {
        session.caught = outer;
      }
    }
  }

  #control(statement: Statement & { readonly kind: 'begin' | 'commit' | 'rollback' | 'save' }): void {
    const name = this.#transactionName(statement.name);
    if (statement.kind === 'begin') {
      this.transactions.begin(name).forEach(this.say);
    } else if (statement.kind === 'commit') {
      this.transactions.commit().forEach(this.say);
    } else if (statement.kind === 'rollback') {
      this.transactions.rollback(name).forEach(this.say);
    } else {
      this.transactions.save(name ?? '');
    }
  }

  /** A name may stand in a variable. */
  #transactionName(name: string | undefined): string | undefined {
    const value = name?.startsWith('@') === true ? this.variables.get(name.toLowerCase()) : name;
    return value === null || value === undefined ? undefined : textOf(value, nvarchar(32));
  }

  async #call(statement: Statement & { readonly kind: 'execute' | 'executeText' }): Promise<Outcome> {
    const depth = this.session.depth;
    if (statement.kind === 'executeText') {
      const sql = await this.#attempt((run) => valueOf(statement.sql, this.environment)(run));
      const outcome = await this.runText(String(sql ?? ''), new Map());
      return outcome === 'aborted' ? 'aborted' : 'done';
    }
    const args = await this.#attempt((run) =>
      statement.args.map(({ name, value }) => ({ name, value: valueOf(value, this.environment)(run) })),
    );
    const outcome = await procedureOf(statement.name)(args, this);
    if (outcome !== 'aborted' && this.session.depth !== depth) {
      throw transactionCountMismatch(depth, this.session.depth);
    }
    return outcome === 'aborted' ? 'aborted' : 'done';
  }

  async #raise(statement: Statement & { readonly kind: 'throw' | 'raiserror' }): Promise<Outcome> {
    const values = await this.#attempt((run) => statement.args.map((one) => valueOf(one, this.environment)(run)));
    if (statement.kind === 'throw') {
      const { caught } = this.session;
      const [number, message, state] = values;
      throw values.length === 0 && caught !== undefined
        ? new SqlServerFault(caught)
        : fault(Number(number), 16, Number(state), String(message));
    }
    const [message, severity, state, ...inserts] = values;
    const text = inserts.reduce<string>((made, one) => made.replace(/%[sdi]/, String(one)), String(message));
    if (Number(severity) > 10) {
      throw fault(50_000, Number(severity), Number(state), text);
    }
    const told = { number: 50_000, state: Number(state), class: Number(severity), message: text };
    this.say({ kind: 'info', message: { ...told, line: statement.line } });
    this.say({ kind: 'done', rows: undefined });
    return 'done';
  }
}

/** What a batch may still make: a table, a database. */
const LATER: ReadonlySet<number> = new Set([208, 4902, 4701, 911]);

export function errorReply({ details }: SqlServerFault): SqlReply {
  return { kind: 'error', message: details };
}

function isFlow({ kind }: Statement): boolean {
  return FLOW.has(kind);
}

function isStep(statement: Statement): statement is Step {
  return !FLOW.has(statement.kind);
}
