import { bigintIn, optionalTextIn } from '../pool/cells.js';
import type { SqlServerRow } from '../pool/sql-server.pool.js';

const UNIT_MS: Readonly<Record<string, number>> = Object.freeze({
  MINUTES: 60_000,
  HOURS: 3_600_000,
  DAYS: 86_400_000,
});

/** A period and its unit, two columns of `sys.change_tracking_databases`, in milliseconds; `null` for a unit that is not known. */
export function retentionMsOf(row: SqlServerRow, from: number): number | null {
  const unit = UNIT_MS[optionalTextIn(row, from + 1) ?? ''];
  return unit === undefined ? null : Number(bigintIn(row, from)) * unit;
}
