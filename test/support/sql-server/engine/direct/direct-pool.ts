import { type SqlServerAnswer, SqlServerPool, type SqlServerStatement } from '@smartpulse/cdc/sql-server';
import { type SqlLogin, type SqlMessage, SqlServerFault, type SqlType, type SqlValue } from '../../seam.js';
import { FaultPlan, type RequestFault } from '../../wire/faults/fault-plan.js';
import { type SqlServerEngine } from '../sql-server.engine.js';
import { type EngineSession } from '../sql/run/engine.session.js';
import { ask, type AskedValues, type AnswerSet } from './ask.js';
import { DirectConnectionError, DirectRequestError } from './driver-error.js';
import { driverValue } from './driver-value.js';

/** How connections are made. */
export interface DirectPoolOptions {
  readonly engine: SqlServerEngine;
  readonly database: string;
  /** Most connections; who finds none waits. */
  readonly size: number;
  /** What goes wrong, as on the wire. Default: nothing. */
  readonly faults?: FaultPlan;
}

interface Line {
  readonly session: EngineSession;
  readonly connection: number;
  requests: number;
}

class NoFaults extends FaultPlan {}

/**
 * Connections to an engine in the same process, without packets and without a driver: a thousand histories in the time of ten. What it answers and
 * throws is what `MssqlPool` would over the wire, and the same {@link FaultPlan} strikes it, as far as its faults need no bytes.
 */
export class DirectPool extends SqlServerPool {
  readonly #options: DirectPoolOptions;
  readonly #faults: FaultPlan;
  readonly #idle: Line[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #lines = new Set<Line>();
  #taken = 0;
  #connections = 0;
  #closed = false;

  constructor(options: DirectPoolOptions) {
    super();
    this.#options = options;
    this.#faults = options.faults ?? new NoFaults();
  }

  override async run(statement: SqlServerStatement, signal?: AbortSignal): Promise<SqlServerAnswer> {
    signal?.throwIfAborted();
    const line = await this.#borrow();
    try {
      signal?.throwIfAborted();
      return await this.#request(line, statement, signal ?? new AbortController().signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      this.#giveBack(line);
    }
  }

  override close(): Promise<void> {
    this.#closed = true;
    this.#lines.forEach((line) => this.#hangUp(line));
    return Promise.resolve();
  }

  async #request(line: Line, statement: SqlServerStatement, signal: AbortSignal): Promise<SqlServerAnswer> {
    const { connection } = line;
    line.requests += 1;
    const point = { connection, request: line.requests, kind: 'call', sql: statement.sql } as const;
    const fault = this.#faults.atRequest(point);
    await this.#before(line, fault);
    const { sets, errors } = await ask(line.session, statement.sql, valuesOf(statement), signal);
    signal.throwIfAborted();
    await this.#after(line, fault);
    const [last, ...preceding] = errors.toReversed();
    if (last !== undefined) {
      throw failed(line, last, preceding.toReversed());
    }
    return sets.map(rowsIn);
  }

  async #before(line: Line, fault: RequestFault | undefined): Promise<void> {
    if (fault?.kind === 'error') {
      throw new DirectRequestError(fault.message);
    }
    if (fault?.kind === 'cut' && fault.when === 'execution') {
      throw this.#lost(line);
    }
    if (fault?.kind === 'wait' && fault.when === 'execution') {
      await fault.until();
    }
    if (fault !== undefined && fault.kind !== 'cut' && fault.kind !== 'wait') {
      throw new RangeError(`Without packets there is no fault "${fault.kind}".`);
    }
    if (!line.session.isOpen) {
      throw this.#lost(line);
    }
  }

  async #after(line: Line, fault: RequestFault | undefined): Promise<void> {
    if (fault?.kind === 'cut') {
      throw this.#lost(line);
    }
    if (fault?.kind === 'wait' && fault.when === 'reply') {
      await fault.until();
    }
  }

  #lost(line: Line): Error {
    this.#hangUp(line);
    return new DirectConnectionError('Connection lost - read ECONNRESET');
  }

  #hangUp(line: Line): void {
    this.#lines.delete(line);
    line.session.close();
  }

  async #borrow(): Promise<Line> {
    while (this.#taken >= this.#options.size) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#taken += 1;
    try {
      // The driver looks at the socket before it lends a connection.
      for (let line = this.#idle.pop(); line !== undefined; line = this.#idle.pop()) {
        if (line.session.isOpen) {
          return line;
        }
        this.#hangUp(line);
      }
      return await this.#connect();
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  async #connect(): Promise<Line> {
    const { engine, database } = this.#options;
    this.#connections += 1;
    const connection = this.#connections;
    const login = { ...LOGIN, database };
    if (this.#closed || this.#faults.atConnect({ connection })?.kind === 'cut') {
      throw new DirectConnectionError('Failed to connect - connect ECONNREFUSED');
    }
    if (this.#faults.atLogin({ ...login, connection }) !== undefined) {
      throw new RangeError('Without packets there are no faults of logins.');
    }
    try {
      const line = { session: await engine.login(login), connection, requests: 0 };
      this.#lines.add(line);
      return line;
    } catch (error) {
      throw error instanceof SqlServerFault ? new DirectRequestError(error.details) : error;
    }
  }

  #giveBack(line: Line): void {
    if (this.#closed || !line.session.isOpen) {
      this.#hangUp(line);
    } else {
      this.#idle.push(line);
    }
    this.#leave();
  }

  #leave(): void {
    this.#taken -= 1;
    this.#waiting.shift()?.();
  }
}

const LOGIN: Omit<SqlLogin, 'database'> = {
  user: 'sa',
  password: 'any',
  application: 'direct',
  host: 'here',
  readOnlyIntent: false,
};

const TYPES: Readonly<Record<SqlServerStatement['parameters'][number]['type'], SqlType>> = {
  bigint: { name: 'bigint', nullable: true },
  int: { name: 'int', nullable: true },
  nvarchar: { name: 'nvarchar', length: 4_000, nullable: true },
  'nvarchar(max)': { name: 'nvarchar', length: 'max', nullable: true },
  varbinary: { name: 'varbinary', length: 'max', nullable: true },
};

function valuesOf({ parameters }: SqlServerStatement): AskedValues {
  return Object.fromEntries(
    parameters.map(({ name, type, value }) => {
      const exact: SqlValue = typeof value === 'number' ? BigInt(value) : value;
      return [name, { type: TYPES[type], value: exact }];
    }),
  );
}

function rowsIn({ columns, rows }: AnswerSet): SqlServerAnswer[number] {
  return rows.map((row) => columns.map(({ type }, index) => driverValue(type, row[index] ?? null)));
}

function failed({ session }: Line, last: SqlMessage, preceding: readonly SqlMessage[]): Error {
  if (last.class >= 20) {
    session.close();
  }
  return new DirectRequestError(last, preceding);
}
