import { undeclaredVariable } from '../../errors/query-faults.js';
import { type Table } from '../../storage/table.js';
import { type ValueType } from '../../values/value-type.js';
import { type CommonTable } from '../parse/ast.js';
import { type SessionState } from '../session-state.js';

/** What a batch knows while it is compiled: its session, its variables, its common tables. */
export class Environment {
  constructor(
    readonly session: SessionState,
    readonly variables: Map<string, ValueType>,
    readonly tableVariables: Map<string, Table>,
    readonly commonTables: ReadonlyMap<
      string,
      { readonly table: CommonTable; readonly environment: Environment }
    > = new Map(),
  ) {}

  /** @throws 137 */
  variableType(name: string): ValueType {
    const type = this.variables.get(name.toLowerCase());
    if (type === undefined) {
      throw undeclaredVariable(name);
    }
    return type;
  }

  /** The same, of another session. */
  of(session: SessionState): Environment {
    return new Environment(session, this.variables, this.tableVariables, this.commonTables);
  }

  /** The same, and with common tables that later ones and the query can name. */
  withCommonTables(tables: readonly CommonTable[]): Environment {
    return tables.reduce<Environment>((environment, table) => environment.#withCommonTable(table), this);
  }

  #withCommonTable(table: CommonTable): Environment {
    const known = new Map(this.commonTables).set(table.name.toLowerCase(), { table, environment: this });
    return new Environment(this.session, this.variables, this.tableVariables, known);
  }
}
