import { type SqlType } from '../../../seam.js';
import { type Environment } from '../compile/environment.js';
import { type Statement } from '../parse/ast.js';
import { type SessionState } from '../session-state.js';
import { type Plan } from './plan.js';

/** Plans of a batch by statement, each with the state of the metadata that it was made for. */
export type BatchPlans = Map<Statement, { readonly plan: Plan; readonly metadata: bigint }>;

/** A batch that is settled: its tree, what its names mean, and plans. */
export interface Prepared {
  readonly statements: readonly Statement[];
  readonly environment: Environment;
  readonly plans: BatchPlans;
}

const MOST_TEXTS = 100;

/**
 * What a session has run before and may run again as it is: the same text with parameters of the same types, on metadata that nobody changed. Only of
 * administrators, to whom no grant matters, and only where nothing of a run stays in the environment.
 */
export class PreparedTexts {
  readonly #known = new Map<string, Prepared>();
  #metadata = -1n;

  constructor(private readonly session: SessionState) {}

  find(sql: string, types: ReadonlyMap<string, SqlType>): Prepared | undefined {
    if (this.#metadata !== this.session.server.transactions.metadataSequence) {
      this.#known.clear();
    }
    return this.#known.get(this.#key(sql, types));
  }

  keep(sql: string, types: ReadonlyMap<string, SqlType>, prepared: Prepared): void {
    const metadata = this.session.server.transactions.metadataSequence;
    if (!this.session.isAdministrator || prepared.environment.tableVariables.size > 0) {
      return;
    }
    if (this.#metadata !== metadata || this.#known.size >= MOST_TEXTS) {
      this.#known.clear();
      this.#metadata = metadata;
    }
    this.#known.set(this.#key(sql, types), prepared);
  }

  #key(sql: string, types: ReadonlyMap<string, SqlType>): string {
    const { database, identityInsert = '' } = this.session;
    const declared = [...types].map(
      ([name, { name: type, length = '', precision = '', scale = '' }]) =>
        `${name} ${type}(${length},${precision},${scale})`,
    );
    return `${database.id} ${identityInsert} ${declared.join()} ${sql}`;
  }
}
