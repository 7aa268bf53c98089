import { type SqlReply, type SqlValue } from '../../../seam.js';
import { unknownProcedure } from '../../errors/query-faults.js';
import { cleanUp, cleanUpExpired } from '../../tracking/tracking-administration.js';
import { nvarchar } from '../../values/value-type.js';
import { type Name } from '../parse/ast.js';
import { type SessionState } from '../session-state.js';

/** An argument as it was given. */
export interface Argument {
  readonly name: string | undefined;
  readonly value: SqlValue;
}

/** How a list of statements ended. */
export type Outcome = 'done' | 'break' | 'continue' | 'return' | 'aborted';

/** Runs a text that was made at run time: EXEC('…'), sp_executesql. */
export type TextRunner = (sql: string, variables: Map<string, SqlValue>, declarations?: string) => Promise<Outcome>;

/** Takes what a statement answers. */
export type Say = (reply: SqlReply) => void;

/** What a procedure works with. */
export interface Caller {
  readonly session: SessionState;
  readonly say: Say;
  readonly runText: TextRunner;
}

type Procedure = (args: readonly Argument[], caller: Caller) => Promise<Outcome> | Outcome;

/** @throws 2812 */
export function procedureOf(name: Name): Procedure {
  const procedure = PROCEDURES[(name.at(-1) ?? '').toLowerCase()];
  if (procedure === undefined) {
    throw unknownProcedure(name.join('.'));
  }
  return procedure;
}

const PROCEDURES: Readonly<Record<string, Procedure>> = {
  sp_executesql([text, declarations, ...values], { runText }) {
    const given = new Map(values.map(({ name, value }) => [(name ?? '').toLowerCase(), value]));
    return runText(String(text?.value ?? ''), given, String(declarations?.value ?? ''));
  },
  sp_databases(_args, { session, say }) {
    say({
      kind: 'columns',
      columns: [
        { name: 'DATABASE_NAME', type: nvarchar(128) },
        { name: 'DATABASE_SIZE', type: { name: 'int', nullable: true } },
        { name: 'REMARKS', type: nvarchar(254) },
      ],
    });
    const databases = session.server.databases();
    for (const { name } of databases) {
      say({ kind: 'row', values: [name, 8_192n, null] });
    }
    say({ kind: 'done', rows: databases.length });
    return 'done';
  },
  sp_flush_ct_internal_table_on_demand(_args, { session, say }) {
    cleanUpExpired(session.database, session.server.transactions.clock.now());
    say({ kind: 'done', rows: undefined });
    return 'done';
  },
  sp_flush_commit_table_on_demand(_args, { session, say }) {
    const least = session.database.tables.flatMap(({ tracking }) =>
      tracking === undefined ? [] : [tracking.cleanupVersion],
    );
    const upTo = least.reduce((a, b) => (b < a ? b : a), least[0] ?? 0n);
    cleanUp(session.database, upTo);
    say({ kind: 'done', rows: undefined });
    return 'done';
  },
};
