import { BIGINT, BIT, DATETIME, INT, nvarchar, type ValueType, varchar } from '../../values/value-type.js';
import { type ScopeColumn } from '../compile/scope.js';

const TYPES: Readonly<Record<string, ValueType>> = {
  int: INT,
  bigint: BIGINT,
  bit: BIT,
  name: nvarchar(128),
  text: nvarchar('max'),
  tinyint: { name: 'tinyint', nullable: true },
  smallint: { name: 'smallint', nullable: true },
  datetime: DATETIME,
  word: varchar(60),
  guid: { name: 'uniqueidentifier', nullable: true },
};

/** `'object_id int, name name'` as columns. */
export function viewColumns(written: string): readonly ScopeColumn[] {
  return written.split(',').map((one) => {
    const [name = '', type = ''] = one.trim().split(/\s+/);
    return { name, type: TYPES[type] ?? INT };
  });
}
