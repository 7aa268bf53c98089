import { describe, expect, it } from 'vitest';
import { type SqlServerAnswer, SqlServerPool } from '../pool/sql-server.pool.js';
import { BOOKKEEPING_TABLES, bookkeepingColumns } from '../statements/bookkeeping.js';
import type { SqlServerStatement } from '../statements/statement.js';
import { type CommandLine, runCommand } from './command-line.js';

/** The columns of the four tables of the bookkeeping. */
const COLUMNS = BOOKKEEPING_TABLES.flatMap((table, index) =>
  bookkeepingColumns(table).map((column) => [index + 1, column]),
);

/** A database in which everything is there but snapshots, until they are allowed. */
class AlmostReady extends SqlServerPool {
  readonly ran: string[] = [];
  closed = false;
  #snapshots = 0;

  constructor(
    readonly failure?: Error,
    readonly refusal?: Error,
  ) {
    super();
  }

  override async run({ name, sql }: SqlServerStatement): Promise<SqlServerAnswer> {
    if (this.failure !== undefined) {
      throw this.failure;
    }
    if (name === 'mend') {
      if (this.refusal !== undefined) {
        throw this.refusal;
      }
      this.ran.push(sql);
      this.#snapshots = 1;
      return [];
    }
    if (name === 'examineDatabase') {
      const about = ['16.0', 'shop', 'cdc', 'READ_WRITE', '7', 3, 1, 1];
      return [[about], [[this.#snapshots, 0, 160]], [[1, 7, 'DAYS']], [[1, 2, 3, 4]], [[1, 1, 1, 1]], COLUMNS];
    }
    const column = [1, 'id', 'bigint', 8, 19, 0, false, null];
    return [[[11, '7', 1, 1, 'READ_WRITE']], [[1]], [[1, '1', '1', null]], [column], [[1, 0]]];
  }

  override async close(): Promise<void> {
    this.closed = true;
  }
}

async function run(words: readonly string[], options: Partial<CommandLine> & { pool?: AlmostReady } = {}) {
  const printed: string[] = [];
  const { pool = new AlmostReady(), ...rest } = options;
  const code = await runCommand({
    arguments: words,
    url: 'mssql://u:secret@host/shop',
    print: (line) => printed.push(line),
    open: () => pool,
    ...rest,
  });
  return { code, text: printed.join('\n'), pool };
}

describe('smartpulse-cdc', () => {
  it('says what is missing and changes nothing', async () => {
    const { code, text, pool } = await run(['doctor', 'dbo.stock']);

    expect(code).toBe(0);
    expect(text).toMatch(/^warning: Snapshots[\s\S]*ALTER DATABASE \[shop\] SET ALLOW_SNAPSHOT_ISOLATION ON;$/);
    expect([pool.ran, pool.closed]).toEqual([[], true]);
  });

  it('adds what is missing and looks again', async () => {
    const { code, text, pool } = await run(['enable', '--schema', 'own', 'dbo.stock']);

    expect(code).toBe(0);
    expect(text).toBe('1 statements ran.\nNothing is missing.');
    expect(pool.ran).toEqual(['ALTER DATABASE [shop] SET ALLOW_SNAPSHOT_ISOLATION ON;']);
  });

  it('counts warnings only where that is asked for, and has one document for scripts', async () => {
    const { code, text } = await run(['doctor', '--strict', '--json', 'dbo.stock']);
    expect(code).toBe(1);
    expect(JSON.parse(text)).toEqual({
      findings: [
        {
          code: 'snapshotsOff',
          subject: 'shop',
          severity: 'warning',
          problem: expect.stringContaining('Snapshots are not allowed'),
          remedy: expect.any(String),
          sql: ['ALTER DATABASE [shop] SET ALLOW_SNAPSHOT_ISOLATION ON;'],
        },
      ],
      ran: [],
      refused: [],
    });
    const mended = await run(['enable', '--strict', '--json', 'dbo.stock']);
    expect([mended.code, JSON.parse(mended.text)]).toMatchObject([0, { findings: [], ran: { length: 1 } }]);
  });

  it('says which statement the server refuses, and that it is missing still', async () => {
    const refusal = Object.assign(new Error('no permission'), { code: 'EREQUEST', number: 5011, class: 14 });
    const { code, text } = await run(['enable', 'dbo.stock'], { pool: new AlmostReady(undefined, refusal) });
    expect(code).toBe(0);
    expect(text).toMatch(/^0 statements ran\.\nrefused with error 5011: ALTER DATABASE .*\nwarning: Snapshots/);
  });

  it.each([[[]], [['mend']], [['doctor', '--force']], [['doctor', '--schema']]])(
    'shows how it is called: %j',
    async (words) => {
      const { code, text } = await run(words);
      expect(code).toBe(2);
      expect(text).toContain('DATABASE_URL');
    },
  );

  it('says what failed, and neither the password nor what the server quoted', async () => {
    const failure = Object.assign(new Error('Login failed for secret'), { code: 'EREQUEST', number: 18456, class: 14 });
    const { code, text, pool } = await run(['doctor'], { pool: new AlmostReady(failure) });
    expect([code, pool.closed]).toEqual([2, true]);
    expect(text).toMatch(/^error: host:1433\/shop refuses the login \(error 18456\)\./);
    expect(text).not.toContain('secret');

    expect((await run(['doctor'], { url: undefined })).code).toBe(2);
    const wrong = await runCommand({
      arguments: ['doctor'],
      url: 'mssql://u:secret@',
      print: (line) => expect(line).not.toContain('secret'),
    });
    expect(wrong).toBe(2);
  });
});
