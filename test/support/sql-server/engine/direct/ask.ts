import {
  type SqlColumn,
  type SqlMessage,
  type SqlParameter,
  type SqlReply,
  type SqlSession,
  type SqlType,
  type SqlValue,
} from '../../seam.js';

/** A result set by the names of its columns. */
export interface AnswerSet {
  readonly columns: readonly SqlColumn[];
  readonly rows: readonly (readonly SqlValue[])[];
}

/** Everything that a session answered to one request. */
export interface SessionAnswer {
  readonly sets: readonly AnswerSet[];
  readonly errors: readonly SqlMessage[];
  readonly infos: readonly SqlMessage[];
  /** Of each statement that counts. */
  readonly counts: readonly number[];
  readonly replies: readonly SqlReply[];
}

/** Values of a request by name, without the `@`; each of a type that fits. */
export type AskedValues = Readonly<Record<string, SqlValue | { readonly type: SqlType; readonly value: SqlValue }>>;

/** Sends a text to a session without any wire. Errors are told, not thrown. */
export async function ask(
  session: SqlSession,
  sql: string,
  values: AskedValues = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<SessionAnswer> {
  const replies: SqlReply[] = [];
  for await (const reply of session.execute({ sql, parameters: parametersOf(values), signal })) {
    replies.push(reply);
  }
  return answerOf(replies);
}

/** The rows of the first result set, as values. @throws the first error. */
export async function rowsOf(
  session: SqlSession,
  sql: string,
  values: AskedValues = {},
): Promise<readonly (readonly SqlValue[])[]> {
  const { sets, errors } = await ask(session, sql, values);
  const [error] = errors;
  if (error !== undefined) {
    throw new Error(`Msg ${error.number}: ${error.message}`, { cause: error });
  }
  return sets[0]?.rows ?? [];
}

function answerOf(replies: readonly SqlReply[]): SessionAnswer {
  const sets: { columns: readonly SqlColumn[]; rows: (readonly SqlValue[])[] }[] = [];
  for (const reply of replies) {
    if (reply.kind === 'columns') {
      sets.push({ columns: reply.columns, rows: [] });
    } else if (reply.kind === 'row') {
      sets.at(-1)?.rows.push(reply.values);
    }
  }
  return {
    sets,
    errors: replies.flatMap((reply) => (reply.kind === 'error' ? [reply.message] : [])),
    infos: replies.flatMap((reply) => (reply.kind === 'info' ? [reply.message] : [])),
    counts: replies.flatMap((reply) => (reply.kind === 'done' && reply.rows !== undefined ? [reply.rows] : [])),
    replies,
  };
}

function parametersOf(values: AskedValues): readonly SqlParameter[] {
  return Object.entries(values).map(([name, given]) => {
    const typed =
      given !== null && typeof given === 'object' && 'type' in given ? given : { type: typeOf(given), value: given };
    return { name: `@${name}`, ...typed, output: false };
  });
}

function typeOf(value: SqlValue): SqlType {
  if (typeof value === 'string') {
    return { name: 'nvarchar', length: Math.max(1, value.length), nullable: true };
  }
  if (value instanceof Uint8Array) {
    return { name: 'varbinary', length: Math.max(1, value.length), nullable: true };
  }
  const names = { bigint: 'bigint', boolean: 'bit', number: 'float' } as const;
  return value === null
    ? { name: 'nvarchar', length: 1, nullable: true }
    : { name: names[typeof value as keyof typeof names], nullable: true };
}
