import { type Environment } from '../compile/environment.js';
import { type Test } from '../compile/frame.js';
import { type Condition, type Statement } from '../parse/ast.js';
import { type SessionState } from '../session-state.js';
import { type ValueType } from '../../values/value-type.js';
import { type Plan } from './plan.js';

/** Plans of a batch by statement, and tests by condition, each with the state of the metadata that it was made for. */
export class BatchPlans {
  readonly #known = new Map<Statement | Condition, { readonly metadata: bigint; readonly made: Plan | Test }>();

  /** What is known of a statement or a condition, or what `make` makes of it. */
  of(from: Statement, metadata: bigint, make: () => Plan): Plan;
  of(from: Condition, metadata: bigint, make: () => Test): Test;
  of(from: Statement | Condition, metadata: bigint, make: () => Plan | Test): Plan | Test {
    const known = this.#known.get(from);
    if (known?.metadata === metadata) {
      return known.made;
    }
    const made = make();
    this.#known.set(from, { metadata, made });
    return made;
  }
}

/** A batch that is settled: its tree, the types of its variables, and plans. */
export interface Prepared {
  readonly statements: readonly Statement[];
  /** Also of those that it declares. */
  readonly variables: Map<string, ValueType>;
  readonly plans: BatchPlans;
}

const MOST_TEXTS = 500;

/**
 * What sessions of a server have run before and may run again as it is: the same text with parameters of the same types, on metadata that nobody
 * changed. Only of administrators, to whom no grant matters, and only where nothing of a run stays in the environment. A plan asks the run, never
 * the session that it was made for.
 */
export class PreparedTexts {
  readonly #known = new Map<string, Prepared>();
  #metadata = -1n;

  find(session: SessionState, sql: string, types: ReadonlyMap<string, ValueType>): Prepared | undefined {
    if (!session.isAdministrator) {
      return undefined;
    }
    if (this.#metadata !== session.server.transactions.metadataSequence) {
      this.#known.clear();
    }
    return this.#known.get(keyOf(session, sql, types));
  }

  keep(
    session: SessionState,
    sql: string,
    types: ReadonlyMap<string, ValueType>,
    prepared: Omit<Prepared, 'variables'> & { readonly environment: Environment },
  ): void {
    const { environment, statements, plans } = prepared;
    const metadata = session.server.transactions.metadataSequence;
    if (!session.isAdministrator || environment.tableVariables.size > 0) {
      return;
    }
    if (this.#metadata !== metadata || this.#known.size >= MOST_TEXTS) {
      this.#known.clear();
      this.#metadata = metadata;
    }
    this.#known.set(keyOf(session, sql, types), { statements, variables: environment.variables, plans });
  }
}

function keyOf(
  { database, identityInsert = '' }: SessionState,
  sql: string,
  types: ReadonlyMap<string, ValueType>,
): string {
  const declared = [...types].map(
    ([name, { name: type, length = '', precision = '', scale = '' }]) =>
      `${name} ${type}(${length},${precision},${scale})`,
  );
  return `${database.id} ${identityInsert} ${declared.join()} ${sql}`;
}
