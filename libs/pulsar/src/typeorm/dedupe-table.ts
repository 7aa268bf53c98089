import { type DedupeStatements, isDuplicate, type Statement } from './dedupe-statements.js';

/** What a statement did. */
export interface StatementResult {
  readonly affected: number;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** What is known of a key. */
export interface DedupeEntry {
  readonly done: boolean;
  readonly untilMs: number;
}

/** Rows that one statement of {@link DedupeTable.sweep} deletes at most. */
const SWEEP_ROWS = 1_000;

/** The table of `SqlDedupeStore`, by its statements. */
export class DedupeTable {
  /** @param run runs one statement, outside of any transaction of others. */
  constructor(
    private readonly statements: DedupeStatements,
    private readonly run: (statement: Statement) => Promise<StatementResult>,
  ) {}

  /** Whether the row is new. */
  async insert(id: string, token: string, untilMs: number): Promise<boolean> {
    try {
      const { affected } = await this.run(this.statements.insert(id, token, untilMs));
      return affected === 1;
    } catch (error) {
      if (isDuplicate(error)) {
        return false;
      }
      throw error;
    }
  }

  /** Whether there was a row whose life is over, and that is this token's now. */
  async takeOver(id: string, token: string, untilMs: number, nowMs: number): Promise<boolean> {
    const { affected } = await this.run(this.statements.takeOver(id, token, untilMs, nowMs));
    return affected === 1;
  }

  async find(id: string): Promise<DedupeEntry | undefined> {
    const { rows } = await this.run(this.statements.find(id));
    const [row] = rows;
    // Drivers tell a bit as a boolean or a number, and large numbers as texts or big integers.
    return row && { done: Number(row['done']) === 1, untilMs: Number(row['until_ms']) };
  }

  /** Whether the token's claim stood. */
  async complete(id: string, token: string, untilMs: number): Promise<boolean> {
    const { affected } = await this.run(this.statements.complete(id, token, untilMs));
    return affected === 1;
  }

  async release(id: string, token: string): Promise<void> {
    await this.run(this.statements.release(id, token));
  }

  /** Deletes what is over, a part at a time; answers how many rows. */
  async sweep(nowMs: number): Promise<number> {
    for (let sum = 0; ;) {
      const { affected } = await this.run(this.statements.sweep(nowMs, SWEEP_ROWS));
      sum += affected;
      if (affected < SWEEP_ROWS) {
        return sum;
      }
    }
  }
}
