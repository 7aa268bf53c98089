import { describe, expect, it } from 'vitest';
import { tagStatements } from './tag-statements.js';

const TAG = 'WITH CHANGE_TRACKING_CONTEXT (0x53)';

describe('tagStatements', () => {
  it.each([
    ['INSERT INTO "stock"("id") VALUES (@0)', `${TAG} INSERT INTO "stock"("id") VALUES (@0)`],
    ['  update stock set level = 1', `  ${TAG} update stock set level = 1`],
    ['DELETE FROM stock', `${TAG} DELETE FROM stock`],
    [
      'DECLARE @OutputTable TABLE ("id" int);\n\nINSERT INTO stock OUTPUT INSERTED.id INTO @OutputTable VALUES (1);\n\nSELECT * FROM @OutputTable',
      `DECLARE @OutputTable TABLE ("id" int);\n\n${TAG} INSERT INTO stock OUTPUT INSERTED.id INTO @OutputTable VALUES (1);\n\nSELECT * FROM @OutputTable`,
    ],
    [
      'SET IDENTITY_INSERT stock ON; INSERT INTO stock VALUES (1); SET IDENTITY_INSERT stock OFF',
      `SET IDENTITY_INSERT stock ON; ${TAG} INSERT INTO stock VALUES (1); SET IDENTITY_INSERT stock OFF`,
    ],
    [
      'MERGE INTO stock USING x ON 1=1 WHEN MATCHED THEN UPDATE SET a=1 WHEN NOT MATCHED THEN INSERT (a) VALUES (1);',
      `${TAG} MERGE INTO stock USING x ON 1=1 WHEN MATCHED THEN UPDATE SET a=1 WHEN NOT MATCHED THEN INSERT (a) VALUES (1);`,
    ],
  ])('puts the context before what writes: %s', (sql, expected) => {
    expect(tagStatements(sql, '0x53')).toBe(expected);
  });

  it.each([
    'SELECT * FROM stock',
    'SELECT \'a; DELETE FROM stock\', [; DELETE], "; DELETE" FROM stock -- ; DELETE\n/* ; DELETE */',
    'SAVE TRANSACTION typeorm_1',
    'ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES c ON DELETE CASCADE',
    "WITH x AS (SELECT 'UPDATE' AS a) SELECT * FROM x",
  ])('leaves alone what writes nothing: %s', (sql) => {
    expect(tagStatements(sql, '0x53')).toBe(sql);
  });

  it('puts it nowhere inside of text that is written', () => {
    expect(tagStatements("INSERT INTO note VALUES ('it''s; DELETE me')", '0x53')).toBe(
      `${TAG} INSERT INTO note VALUES ('it''s; DELETE me')`,
    );
  });

  it.each([
    'WITH x AS (SELECT 1 AS a) UPDATE stock SET a = 1',
    'IF 1 = 1 DELETE FROM stock',
    'BEGIN INSERT INTO a VALUES (1) END',
    'INSERT INTO a VALUES (1) INSERT INTO b VALUES (2)',
  ])('refuses a write that does not begin its statement: %s', (sql) => {
    expect(() => tagStatements(sql, '0x53')).toThrow(/has no place/);
  });
});
