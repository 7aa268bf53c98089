import { SqlServerFault, type SqlParameter } from '../../seam.js';
import type { RemoteCall } from './remote-call.js';
import { refusal } from './refusal.js';

/** SQL with its parameters, named. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly SqlParameter[];
}

/** What a remote call comes to. A handle goes back to the client in the parameter named. */
export type CallPlan =
  | { readonly kind: 'execute'; readonly statement: Statement }
  | { readonly kind: 'prepared'; readonly handleName: string; readonly handle: number; readonly statement?: Statement }
  | { readonly kind: 'unprepared' }
  | { readonly kind: 'reset' };

interface Prepared {
  readonly sql: string;
  readonly names: readonly string[];
}

/** More than that means that a client forgets to unprepare. */
const MOST_PREPARED = 10_000;

/** Turns remote calls into statements, and keeps the prepared ones of one connection. */
export class Statements {
  private readonly prepared = new Map<number, Prepared>();
  private lastHandle = 0;

  /** @throws SqlServerFault when the call names no prepared statement, or lacks its text. */
  plan({ procedure, parameters }: RemoteCall): CallPlan {
    const [first, second, third] = parameters;
    switch (procedure.toLowerCase().replace(/^(?:sys|dbo)\./, '')) {
      case 'sp_executesql': {
        const names = declaredNames(textOf(second));
        return { kind: 'execute', statement: named({ sql: requiredText(first), names }, parameters.slice(2)) };
      }
      case 'sp_prepare': {
        const handle = this.keep({ sql: requiredText(third), names: declaredNames(textOf(second)) });
        return { kind: 'prepared', handleName: first?.name ?? '', handle };
      }
      case 'sp_prepexec': {
        const prepared = { sql: requiredText(third), names: declaredNames(textOf(second)) };
        return {
          kind: 'prepared',
          handleName: first?.name ?? '',
          handle: this.keep(prepared),
          statement: named(prepared, parameters.slice(3)),
        };
      }
      case 'sp_execute':
        return { kind: 'execute', statement: named(this.find(first), parameters.slice(1)) };
      case 'sp_unprepare':
        this.find(first);
        this.prepared.delete(handleOf(first));
        return { kind: 'unprepared' };
      case 'sp_reset_connection':
        return { kind: 'reset' };
      default:
        return { kind: 'execute', statement: procedureCall(procedure, parameters) };
    }
  }

  /** What a reset of the connection does to them. */
  forget(): void {
    this.prepared.clear();
  }

  private keep(prepared: Prepared): number {
    if (this.prepared.size >= MOST_PREPARED) {
      throw refusal(`room for more than ${MOST_PREPARED} prepared statements`);
    }
    this.lastHandle += 1;
    this.prepared.set(this.lastHandle, prepared);
    return this.lastHandle;
  }

  private find(parameter: SqlParameter | undefined): Prepared {
    const handle = handleOf(parameter);
    const prepared = this.prepared.get(handle);
    if (prepared === undefined) {
      throw new SqlServerFault({
        number: 8_179,
        state: 2,
        class: 16,
        message: `Could not find prepared statement with handle ${handle}.`,
        line: 1,
      });
    }
    return prepared;
  }
}

/** The names that a declaration such as `@id int, @name nvarchar(50) output` declares, in its order. */
function declaredNames(declaration: string): readonly string[] {
  return declaration.match(/@[\p{L}\p{N}_@$#]+/gu) ?? [];
}

function named({ sql, names }: Prepared, parameters: readonly SqlParameter[]): Statement {
  return {
    sql,
    parameters: parameters.map((parameter, index) =>
      parameter.name === '' ? { ...parameter, name: names[index] ?? '' } : parameter,
    ),
  };
}

/** A procedure called by its name is the batch that calls it. */
function procedureCall(procedure: string, parameters: readonly SqlParameter[]): Statement {
  const variables = parameters.map((parameter, index) => ({ ...parameter, name: parameter.name || `@p${index}` }));
  const values = variables.map(
    ({ name, output }, index) =>
      `${parameters[index]?.name === '' ? '' : `${name} = `}${name}${output ? ' OUTPUT' : ''}`,
  );
  return { sql: `EXEC ${[procedure, values.join(', ')].join(' ').trim()}`, parameters: variables };
}

function textOf(parameter: SqlParameter | undefined): string {
  return typeof parameter?.value === 'string' ? parameter.value : '';
}

function requiredText(parameter: SqlParameter | undefined): string {
  if (typeof parameter?.value !== 'string') {
    throw new SqlServerFault({
      number: 214,
      state: 2,
      class: 16,
      message: "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.",
      line: 1,
    });
  }
  return parameter.value;
}

function handleOf(parameter: SqlParameter | undefined): number {
  return typeof parameter?.value === 'bigint' ? Number(parameter.value) : 0;
}
