import { type SqlValue } from '../../../seam.js';
import {
  BIGINT,
  decimal,
  INT,
  nvarchar,
  UNIQUEIDENTIFIER,
  type ValueType,
  varbinary,
} from '../../values/value-type.js';
import { type Run } from '../compile/frame.js';
import { VERSION_TEXT } from './catalog-functions.js';
import { plain, type ScalarFunction } from './scalar-function.js';

/** Functions over the session, its transaction and its errors. */
export const SESSION_FUNCTIONS: Readonly<Record<string, ScalarFunction>> = {
  xact_state: plain(0, { name: 'smallint', nullable: false }, ({ run: { session } }) =>
    session.transaction === undefined ? 0n : session.transaction.doomed ? -1n : 1n,
  ),
  scope_identity: plain(0, decimal(38, 0), ({ run: { session } }) =>
    session.lastIdentity === null ? null : String(session.lastIdentity),
  ),
  newid: plain(0, UNIQUEIDENTIFIER, ({ run }) => guid(run, '4')),
  newsequentialid: plain(0, UNIQUEIDENTIFIER, ({ run }) => guid(run, '1')),
  error_number: plain(0, INT, ({ run: { session } }) => optional(session.caught?.number)),
  error_severity: plain(0, INT, ({ run: { session } }) => optional(session.caught?.class)),
  error_state: plain(0, INT, ({ run: { session } }) => optional(session.caught?.state)),
  error_line: plain(0, INT, ({ run: { session } }) => optional(session.caught?.line)),
  error_message: plain(0, nvarchar(4_000), ({ run: { session } }) => session.caught?.message ?? null),
  error_procedure: plain(0, nvarchar(128), () => null),
  min_active_rowversion: plain(0, varbinary(8), ({ run: { session } }) => session.database.nextRowversion()),
};

/** `@@name`. */
export const GLOBALS: Readonly<Record<string, { readonly type: ValueType; readonly value: (run: Run) => SqlValue }>> = {
  '@@rowcount': { type: INT, value: ({ session }) => session.lastRowCount },
  '@@error': { type: INT, value: ({ session }) => BigInt(session.lastError) },
  '@@trancount': { type: INT, value: ({ session }) => BigInt(session.depth) },
  '@@identity': {
    type: decimal(38, 0),
    value: ({ session }) => (session.lastIdentity === null ? null : String(session.lastIdentity)),
  },
  '@@spid': { type: { name: 'smallint', nullable: false }, value: ({ session }) => BigInt(session.id) },
  '@@version': { type: nvarchar(300), value: () => VERSION_TEXT },
  '@@servername': { type: nvarchar(128), value: ({ session }) => session.server.name },
  '@@lock_timeout': { type: INT, value: ({ session }) => BigInt(session.lockTimeoutMs) },
  '@@max_precision': { type: { name: 'tinyint', nullable: false }, value: () => 38n },
  '@@microsoftversion': { type: INT, value: () => 285_213_672n },
  '@@language': { type: nvarchar(128), value: () => 'us_english' },
  '@@datefirst': { type: { name: 'tinyint', nullable: false }, value: () => 7n },
  '@@textsize': { type: INT, value: () => 2_147_483_647n },
  '@@dbts': { type: BIGINT, value: () => 0n },
};

function optional(value: number | undefined): SqlValue {
  return value === undefined ? null : BigInt(value);
}

function guid({ session }: Run, kind: string): string {
  const digits = Array.from({ length: 32 }, (_, at) =>
    at === 12 ? kind : Math.floor(session.server.random.next() * 16).toString(16),
  ).join('');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5').toUpperCase();
}
