import { type ConnectPoint, FaultPlan, type LoginPoint, type RequestPoint } from './wire/faults/fault-plan.js';

/**
 * Watches what each application sends, in its forms: a list of values counts as one however long it is. Forms are few, so it stays small
 * however much is sent.
 */
export class StatementLog extends FaultPlan {
  readonly #applications = new Map<number, string>();
  readonly #forms = new Map<string, Set<string>>();

  override atLogin({ connection, application }: LoginPoint): undefined {
    this.#applications.set(connection, application);
  }

  override atRequest(point: RequestPoint): undefined {
    const application = this.#applicationOf(point);
    const forms = this.#forms.get(application) ?? new Set();
    forms.add(formOf(point));
    this.#forms.set(application, forms);
  }

  /** The names of the applications that sent something. */
  get applications(): readonly string[] {
    return [...this.#forms.keys()].toSorted();
  }

  /** What was sent by the applications of these names, each form once, in the order of the alphabet. */
  forms(...applications: readonly string[]): readonly string[] {
    return [...new Set(applications.flatMap((one) => [...(this.#forms.get(one) ?? [])]))].toSorted();
  }

  #applicationOf({ connection }: ConnectPoint): string {
    return this.#applications.get(connection) ?? '';
  }
}

const TUPLE = /\((?:@\d+(?:, )?)+\)/.source;

function formOf({ kind, sql, isolation }: RequestPoint): string {
  if (sql === '') {
    return isolation === undefined ? `-- ${kind}` : `-- ${kind} ${isolation}`;
  }
  return sql
    .trim()
    .replaceAll(new RegExp(`USING \\(VALUES (${TUPLE})(?:, ?${TUPLE})*\\)`, 'g'), 'USING (VALUES $1, …)')
    .replaceAll(/ IN \((@\d+)(?:, ?@\d+)*\)/g, ' IN ($1, …)');
}
