import { describe, expect, it } from 'vitest';
import { type SqlServerAnswer, SqlServerPool } from '../pool/sql-server.pool.js';
import type { SqlServerStatement } from '../statements/statement.js';
import { type CommandLine, runCommand } from './command-line.js';

/** A database in which everything is there but snapshots, until they are allowed. */
class AlmostReady extends SqlServerPool {
  readonly ran: string[] = [];
  closed = false;
  #snapshots = 0;

  constructor(readonly failure?: Error) {
    super();
  }

  override async run({ name, sql }: SqlServerStatement): Promise<SqlServerAnswer> {
    if (this.failure !== undefined) {
      throw this.failure;
    }
    if (name === 'mend') {
      this.ran.push(sql);
      this.#snapshots = 1;
      return [];
    }
    if (name === 'examineDatabase') {
      const about = ['16.0', 'shop', 'cdc', 'READ_WRITE', '7'];
      return [[about], [[this.#snapshots, 0]], [[1, 7, 'DAYS']], [[1, 2, 3, 4]], [[1, 1, 1, 1]]];
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

  it.each([[[]], [['mend']], [['doctor', '--force']]])('shows how it is called: %j', async (words) => {
    const { code, text } = await run(words);
    expect(code).toBe(2);
    expect(text).toContain('DATABASE_URL');
  });

  it('says what failed, and neither the password nor what the server quoted', async () => {
    const failure = Object.assign(new Error('Login failed for secret'), { code: 'EREQUEST', number: 18456, class: 14 });
    const { code, text, pool } = await run(['doctor'], { pool: new AlmostReady(failure) });
    expect([code, text, pool.closed]).toEqual([2, 'It failed: error 18456 (configuration).', true]);

    expect((await run(['doctor'], { url: undefined })).code).toBe(2);
    const wrong = await runCommand({
      arguments: ['doctor'],
      url: 'mssql://u:secret@',
      print: (line) => expect(line).not.toContain('secret'),
    });
    expect(wrong).toBe(2);
  });
});
