import { prefixMatchesNothing } from '../../errors/query-faults.js';
import { type Expression, type SelectItem } from '../parse/ast.js';
import { type Scope } from './scope.js';

/** A value of the select list with the name of its column; `''` = it has none. */
export interface ListedValue {
  readonly name: string;
  readonly value: Expression;
}

/** The select list with every star written out. @throws 107 */
export function writtenOut(items: readonly SelectItem[], scope: Scope): readonly ListedValue[] {
  return items.flatMap((item) => {
    if (item.kind === 'star') {
      return starOf(item.qualifier, scope);
    }
    if (item.kind === 'assign') {
      return [{ name: '', value: item.value }];
    }
    // A column is told as the query spells it, not as the table does.
    const name = item.value.kind === 'column' ? (item.value.parts.at(-1) ?? '') : '';
    return [{ name: item.alias ?? name, value: item.value }];
  });
}

function starOf(qualifier: readonly string[], scope: Scope): readonly ListedValue[] {
  const wanted = qualifier.at(-1)?.toLowerCase();
  const sources = scope.sources.filter(
    ({ exposedName }) => wanted === undefined || exposedName.toLowerCase() === wanted,
  );
  if (wanted !== undefined && sources.length === 0) {
    throw prefixMatchesNothing(qualifier.join('.'));
  }
  return sources.flatMap(({ exposedName, columns }) =>
    columns.map(({ name }) => ({ name, value: { kind: 'column', parts: [exposedName, name] } as const })),
  );
}
