import { describe, expect, it } from 'vitest';
import type { DatabaseExamination, TableExamination } from './examination.js';
import { databaseFindings, tableFindings } from './findings.js';

const WELL: DatabaseExamination = {
  database: 'shop',
  user: 'cdc',
  productVersion: '16.0',
  engineEdition: 3,
  compatibilityLevel: 160,
  mayCreate: true,
  writable: true,
  trackingOn: true,
  snapshotAllowed: true,
  autoCleanup: true,
  retentionMs: 7 * 86_400_000,
  bookkeeping: [{ table: 'cdc_epoch', exists: true, mayWrite: true, missingColumns: [] }],
};
const GOOD: TableExamination = {
  table: 'dbo.stock',
  exists: true,
  maySelect: true,
  mayTrack: true,
  tracked: true,
  columnsTracked: true,
  hasKey: true,
  unreadable: [],
  looseKeys: [],
  waitingForCleanup: 12n,
};

const inBrief = (findings: ReturnType<typeof databaseFindings>) =>
  findings.map(({ severity, sql }) => [severity, ...sql]);

describe('the doctor', () => {
  it('finds nothing where nothing is missing', () => {
    expect(databaseFindings(WELL, 'smartpulse')).toEqual([]);
    expect(tableFindings(GOOD, 'cdc')).toEqual([]);
  });

  it.each([
    [{ writable: false }, ['error']],
    [
      { trackingOn: false },
      ['error', 'ALTER DATABASE [shop] SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);'],
    ],
    [{ autoCleanup: false }, ['warning', 'ALTER DATABASE [shop] SET CHANGE_TRACKING (AUTO_CLEANUP = ON);']],
    [{ retentionMs: 3_600_000 }, ['warning', 'ALTER DATABASE [shop] SET CHANGE_TRACKING (CHANGE_RETENTION = 7 DAYS);']],
    [{ snapshotAllowed: false }, ['warning', 'ALTER DATABASE [shop] SET ALLOW_SNAPSHOT_ISOLATION ON;']],
    [
      { bookkeeping: [{ table: 'cdc_epoch', exists: true, mayWrite: false, missingColumns: [] }] },
      ['error', 'GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::[smartpulse] TO [cdc];'],
    ],
  ] as const)('says what a database lacks (%#)', (changed, expected) => {
    expect(inBrief(databaseFindings({ ...WELL, ...changed }, 'smartpulse'))).toEqual([expected]);
  });

  it('adds to tables of an earlier version what came since, and nothing to those that are none of ours', () => {
    const lacking = (...missingColumns: string[]) =>
      databaseFindings(
        { ...WELL, bookkeeping: [{ table: 'cdc_epoch', exists: true, mayWrite: true, missingColumns }] },
        'own',
      );
    expect(inBrief(lacking('recovery_fork'))).toEqual([
      ['error', expect.stringMatching(/ALTER TABLE \[own\]\.\[cdc_epoch\] ADD recovery_fork uniqueidentifier NULL;$/)],
    ]);
    expect(lacking('epoch')).toMatchObject([
      { code: 'bookkeepingOutdated', problem: expect.stringContaining('none that change capture made'), sql: [] },
    ]);
  });

  it('has the whole text for a schema that is missing', () => {
    const bookkeeping = [{ table: 'cdc_epoch' as const, exists: false, mayWrite: false, missingColumns: [] }];
    const [finding] = databaseFindings({ ...WELL, bookkeeping }, 'smartpulse');
    expect(finding?.sql.join('\n')).toMatch(
      /CREATE SCHEMA[\s\S]*cdc_epoch[\s\S]*cdc_checkpoint[\s\S]*cdc_lease[\s\S]*cdc_replica/,
    );
  });

  it.each([
    [{ exists: false, tracked: false, hasKey: false }, ['error']],
    [{ hasKey: false, tracked: false }, ['error']],
    [
      { tracked: false },
      ['error', 'ALTER TABLE [dbo].[stock] ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON);'],
    ],
    [{ columnsTracked: false }, ['hint']],
    [{ mayTrack: false }, ['error', 'GRANT VIEW CHANGE TRACKING ON [dbo].[stock] TO [cdc];']],
    [{ unreadable: [{ column: 'shape', type: 'geometry' }] }, ['error']],
    [{ waitingForCleanup: 2_000_000n }, ['warning']],
  ] as const)('says what a table lacks (%#)', (changed, expected) => {
    expect(inBrief(tableFindings({ ...GOOD, ...changed }, 'cdc'))).toEqual([expected]);
  });
});
