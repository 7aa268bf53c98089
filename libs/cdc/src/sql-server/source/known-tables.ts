import type { SourceState, TableState } from '../../source/change.source.js';
import { bigintIn, firstOf, optionalBigintIn, optionalTextIn } from '../pool/cells.js';
import type { SqlServerAnswer } from '../pool/sql-server.pool.js';
import { repeatLook } from '../statements/look-at-source.js';
import type { SqlServerStatement, StatementLimits } from '../statements/statement.js';
import { retentionMsOf } from './retention.js';

/** What a look found, so that the next one need only ask whether that still holds. */
export class KnownTables {
  readonly states: ReadonlyMap<string, TableState>;
  /** Asks whether all of it still holds. */
  readonly statement: SqlServerStatement;
  readonly #tables: number;
  readonly #begun: bigint;
  readonly #oldest: bigint;
  readonly #modified: bigint;

  constructor(states: ReadonlyMap<string, TableState>, schema: string, limits: StatementLimits) {
    this.states = states;
    this.statement = repeatLook([...states.values()], schema, limits);
    const found = [...states.values()];
    this.#tables = found.length;
    this.#begun = found.reduce((sum, { beginVersion }) => sum + beginVersion, 0n);
    this.#oldest = found.reduce((sum, { minValidVersion }) => sum + minValidVersion, 0n);
    this.#modified = found.reduce((sum, { definition }) => sum + BigInt(definition ?? 0), 0n);
  }

  /** Whether these are all among what is known. */
  cover(tables: readonly string[]): boolean {
    return tables.every((table) => this.states.has(table));
  }

  /** The state, if the answer says that everything that was known still is so; `undefined`: only a whole look can tell. */
  confirmedBy(answer: SqlServerAnswer): SourceState | undefined {
    const row = firstOf(answer, 0);
    if (row === undefined) {
      return undefined;
    }
    const [known, fork] = [optionalTextIn(row, 1), optionalTextIn(row, 2)];
    const currentVersion = optionalBigintIn(row, 3);
    const same =
      // Sums say nothing where a restore might have taken the versions back unseen.
      fork !== null &&
      fork.toLowerCase() === known?.toLowerCase() &&
      optionalBigintIn(row, 6) === BigInt(this.#tables) &&
      optionalBigintIn(row, 7) === this.#begun &&
      optionalBigintIn(row, 8) === this.#oldest &&
      optionalBigintIn(row, 9) === this.#modified;
    if (!same || currentVersion === null) {
      return undefined;
    }
    const retentionMs = optionalBigintIn(row, 4) === null ? null : retentionMsOf(row, 4);
    return { epoch: bigintIn(row, 0), currentVersion, retentionMs, tables: this.states };
  }
}
