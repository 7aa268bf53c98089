import { VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import { PrimaryKeyMissingError, TableNotFoundError, TableNotTrackedError } from '../../cdc.errors.js';
import { EmbeddedDatabase } from '../embedded.database.js';
import { EmbeddedTableNameError } from '../embedded.errors.js';
import { EmbeddedChangeSource } from '../source/embedded.change.source.js';

const open: EmbeddedDatabase[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((database) => database.close()));
});

async function start(schema: string, options: { retentionMs?: number } = {}) {
  const clock = new VirtualClock();
  const database = EmbeddedDatabase.open({ name: 'db', clock, ...options });
  open.push(database);
  const dataSource = await new DataSource(database.typeOrmOptions({ name: 'sql', entities: [] })).initialize();
  const sql = async (text: string, ...parameters: unknown[]): Promise<void> => {
    await dataSource.query(text, parameters);
  };
  for (const statement of schema.split(';').filter((each) => each.trim() !== '')) {
    await sql(statement);
  }
  const source = new EmbeddedChangeSource(database);
  const changes = async (table = 'dbo.item', after = 0n) =>
    (await source.readPage({ table, after, cursor: null, limit: 1_000, signal: new AbortController().signal })).changes;
  const short = async (table?: string, after?: bigint) =>
    (await changes(table, after)).map(
      ({ operation, primaryKey }) => `${operation} ${Object.values(primaryKey).join('/')}`,
    );
  return { clock, database, dataSource, sql, source, changes, short, version: () => database.currentVersion().version };
}

const ITEM = 'CREATE TABLE item (id INTEGER PRIMARY KEY, code TEXT UNIQUE, level INT, note TEXT)';

describe('change tracking', () => {
  it('gives every single statement a version of its own, and none to one that changes no row', async () => {
    const { database, dataSource, sql, version } = await start(ITEM);
    await database.enableTracking(['dbo.item']);
    const before = version();
    await sql(`INSERT INTO item (id) VALUES (1), (2)`);
    expect(version()).toBe(before + 1n);
    await sql(`UPDATE item SET level = 1 WHERE id = 9`);
    await sql(`SELECT * FROM item`);
    expect(version()).toBe(before + 1n);
    expect(await dataSource.query(`INSERT INTO item (id) VALUES (3) RETURNING id`)).toEqual([{ id: 3 }]);
    expect(version()).toBe(before + 2n);
    await expect(sql(`INSERT INTO item (id) VALUES (4), (1)`)).rejects.toThrow('UNIQUE');
    expect(version()).toBe(before + 2n);
  });

  it('tells the rows that OR REPLACE removes, and none that OR IGNORE leaves', async () => {
    const { database, sql, short, version } = await start(ITEM);
    await database.enableTracking(['dbo.item']);
    await sql(`INSERT INTO item (id, code) VALUES (1, 'a'), (2, 'b'), (3, 'c')`);
    const after = version();
    await sql(`INSERT OR REPLACE INTO item (id, code) VALUES (1, 'b')`);
    expect(await short('dbo.item', after)).toEqual(['upsert 1', 'delete 2']);
    const later = version();
    await sql(`INSERT OR IGNORE INTO item (id, code) VALUES (1, 'x'), (4, 'd')`);
    expect(await short('dbo.item', later)).toEqual(['upsert 4']);
    await sql(`UPDATE OR REPLACE item SET code = 'c' WHERE id = 4`);
    expect(await short('dbo.item', later + 1n)).toEqual(['delete 3', 'upsert 4']);
  });

  it('tells what a cascade and a trigger of the app change, under the version of the statement', async () => {
    const { database, sql, changes, version } = await start(
      `${ITEM}; CREATE TABLE part (id INTEGER PRIMARY KEY, item INT REFERENCES item ON DELETE CASCADE)`,
    );
    await database.enableTracking(['dbo.item', 'dbo.part']);
    await sql(`INSERT INTO item (id) VALUES (1)`);
    await sql(`INSERT INTO part (id, item) VALUES (10, 1), (11, 1)`);
    const after = version();
    await sql(`DELETE FROM item`);
    expect(
      (await changes('dbo.part', after)).map(({ operation, version: { version: at } }) => [operation, at]),
    ).toEqual([
      ['delete', after + 1n],
      ['delete', after + 1n],
    ]);
  });

  it('says which columns changed, and "unknown" to a reader whose position is before the previous change', async () => {
    const { database, sql, changes, version } = await start(ITEM);
    await database.enableTracking(['dbo.item']);
    await sql(`INSERT INTO item (id, code) VALUES (1, 'a')`);
    const inserted = version();
    await sql(`UPDATE item SET level = 1, code = 'a'`);
    const first = version();
    expect(await changes('dbo.item', inserted)).toMatchObject([{ changedColumns: ['level'] }]);
    expect(await changes('dbo.item', inserted - 1n)).toMatchObject([{ changedColumns: null }]);
    await sql(`UPDATE item SET note = 'x', code = 'A'`);
    expect(await changes('dbo.item', first)).toMatchObject([{ changedColumns: ['code', 'note'] }]);
    expect(await changes('dbo.item', inserted)).toMatchObject([{ changedColumns: null }]);
    const second = version();
    await sql(`UPDATE item SET note = note`);
    expect(await changes('dbo.item', second)).toMatchObject([{ changedColumns: [] }]);
  });

  it('joins the columns that one transaction changes in several statements', async () => {
    const { database, dataSource, sql, changes, version } = await start(ITEM);
    await database.enableTracking(['dbo.item']);
    await sql(`INSERT INTO item (id) VALUES (1)`);
    const after = version();
    await dataSource.transaction(async (manager) => {
      await manager.query(`UPDATE item SET level = 1`);
      await manager.query(`UPDATE item SET note = 'x'`);
    });
    expect(await changes('dbo.item', after)).toMatchObject([{ changedColumns: ['level', 'note'] }]);
  });

  it('keeps the counter when a deferred constraint refuses a commit that is mended and repeated', async () => {
    const { database, dataSource, version, short } = await start(
      `${ITEM}; CREATE TABLE part (id INTEGER PRIMARY KEY, item INT REFERENCES item DEFERRABLE INITIALLY DEFERRED)`,
    );
    await database.enableTracking(['dbo.item', 'dbo.part']);
    const before = version();
    const runner = dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.query(`INSERT INTO part (id, item) VALUES (1, 1)`);
    await expect(runner.commitTransaction()).rejects.toThrow('FOREIGN KEY');
    expect(version()).toBe(before);
    await runner.query(`INSERT INTO item (id) VALUES (1)`);
    await runner.commitTransaction();
    await runner.release();
    expect(version()).toBe(before + 1n);
    expect(await short('dbo.part', before)).toEqual(['upsert 1']);
    expect(await short('dbo.item', before)).toEqual(['upsert 1']);
  });

  it('counts a commit that is written in plain SQL', async () => {
    const { database, dataSource, version } = await start(ITEM);
    await database.enableTracking(['dbo.item']);
    const before = version();
    const runner = dataSource.createQueryRunner();
    await runner.query('begin');
    await runner.query('INSERT INTO item (id) VALUES (1)');
    await runner.query('INSERT INTO item (id) VALUES (2)');
    await runner.query('-- done\n end transaction');
    await runner.release();
    expect(version()).toBe(before + 1n);
  });

  it('changes nothing when it is enabled again, and goes on with an added column', async () => {
    const { database, sql, source, changes, version } = await start(ITEM);
    await database.enableTracking(['dbo.item']);
    await sql(`INSERT INTO item (id) VALUES (1)`);
    const before = await source.state(['dbo.item']);
    await database.enableTracking(['dbo.item']);
    expect(await source.state(['dbo.item'])).toEqual(before);
    const { schemaHash } = await source.describe('dbo.item');
    await sql('ALTER TABLE item ADD COLUMN extra TEXT');
    await database.enableTracking(['dbo.item']);
    expect(await source.state(['dbo.item'])).toEqual(before);
    expect((await source.describe('dbo.item')).schemaHash).not.toBe(schemaHash);
    const after = version();
    await sql(`UPDATE item SET extra = 'x'`);
    expect(await changes('dbo.item', after)).toMatchObject([{ changedColumns: ['extra'], row: { extra: 'x' } }]);
  });

  it('is gone with a table that is dropped, and begins anew under another object id', async () => {
    const { database, sql, source } = await start(ITEM);
    await database.enableTracking(['dbo.item']);
    const before = (await source.state(['dbo.item'])).tables.get('dbo.item');
    await sql('DROP TABLE item');
    expect((await source.state(['dbo.item'])).tables.get('dbo.item')).toBeNull();
    await expect(source.describe('dbo.item')).rejects.toBeInstanceOf(TableNotFoundError);
    await sql(ITEM);
    expect((await source.state(['dbo.item'])).tables.get('dbo.item')).toBeNull();
    await expect(source.describe('dbo.item')).rejects.toBeInstanceOf(TableNotTrackedError);
    await expect(source.describe('dbo.item')).rejects.toThrow('enableTracking');
    await database.enableTracking(['dbo.item']);
    const after = (await source.state(['dbo.item'])).tables.get('dbo.item');
    expect(after?.objectId).not.toBe(before?.objectId);
    expect(after?.beginVersion).toBeGreaterThan(before?.beginVersion ?? 0n);
  });

  it('refuses tables that it cannot follow, each by its own error', async () => {
    const { database, sql } = await start(`${ITEM}; CREATE TABLE bare (a); CREATE TABLE loose (a TEXT PRIMARY KEY, b)`);
    await expect(database.enableTracking(['dbo.nowhere'])).rejects.toBeInstanceOf(TableNotFoundError);
    await expect(database.enableTracking(['dbo.bare'])).rejects.toBeInstanceOf(PrimaryKeyMissingError);
    await expect(database.enableTracking(['a.b.c'])).rejects.toBeInstanceOf(EmbeddedTableNameError);
    await expect(database.enableTracking(['dbo.smartpulse_lease'])).rejects.toBeInstanceOf(EmbeddedTableNameError);
    await database.enableTracking(['dbo.item', 'dbo.loose']);
    await expect(database.enableTracking(['sales.item'])).rejects.toThrow('"dbo.item"');
    await expect(sql('INSERT INTO loose (a) VALUES (NULL)')).rejects.toThrow('no primary key');
  });

  it('tells a key that changes its case only as another key', async () => {
    const { database, sql, short, version } = await start(
      'CREATE TABLE item (k TEXT COLLATE NOCASE PRIMARY KEY NOT NULL)',
    );
    await database.enableTracking(['dbo.item']);
    await sql(`INSERT INTO item VALUES ('a')`);
    const after = version();
    await sql(`UPDATE item SET k = 'A'`);
    expect(await short('dbo.item', after)).toEqual(['upsert A', 'delete a']);
  });

  it('forgets old changes by itself as commits come, no newer ones, and says so', async () => {
    const retentionMs = 60_000;
    const { clock, database, sql, source, changes, version } = await start(ITEM, { retentionMs });
    await database.enableTracking(['dbo.item']);
    for (let id = 1; id <= 100; id++) {
      await sql(`INSERT INTO item (id) VALUES (?)`, id);
    }
    const old = version();
    await clock.advance(retentionMs + 1);
    for (let id = 101; id <= 200; id++) {
      await sql(`INSERT INTO item (id) VALUES (?)`, id);
    }
    const state = (await source.state(['dbo.item'])).tables.get('dbo.item');
    expect(state?.minValidVersion).toBe(old);
    expect((await changes()).map(({ primaryKey }) => primaryKey['id'])).toEqual(
      Array.from({ length: 100 }, (_, index) => index + 101),
    );
  });

  it('stamps changes with the time of the commit and who wrote', async () => {
    const { clock, database, sql, changes } = await start(ITEM);
    await database.enableTracking(['dbo.item']);
    await clock.advance(1_500);
    await database.withChangeContext('importer', () => sql(`INSERT INTO item (id) VALUES (1)`));
    await sql(`INSERT INTO item (id) VALUES (2)`);
    expect(await changes()).toMatchObject([
      { origin: 'importer', committedAtMs: clock.now(), primaryKey: { id: 1 } },
      { origin: null, committedAtMs: clock.now(), primaryKey: { id: 2 } },
    ]);
  });
});
