import { runContract } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import type { RowChange } from '../change/row-change.js';
import { changeSinkContract } from './change-sink.contract.js';
import { checkpointStoreContract } from './checkpoint-store.contract.js';
import { InMemoryCheckpointStore } from './in-memory.checkpoint-store.js';
import { InProcessLeadership } from './in-process.leadership.js';
import { leadershipContract } from './leadership.contract.js';
import { RecordingSink } from './recording.sink.js';
import { TableFold } from './table-fold.js';

const change = (n: number, version: bigint, epoch = 1n): RowChange => ({
  source: 'db',
  table: 'dbo.stock',
  operation: 'upsert',
  primaryKey: { id: n },
  version: { epoch, version },
  changedColumns: null,
  row: { id: n, level: Number(version) },
  origin: null,
  committedAtMs: null,
});

runContract(
  { describe, it },
  'CheckpointStore: in-memory',
  checkpointStoreContract(() => ({ store: new InMemoryCheckpointStore(), close: async () => {} })),
);

runContract(
  { describe, it },
  'Leadership: in-process',
  leadershipContract(() => {
    const leadership = new InProcessLeadership();
    return { first: leadership, second: leadership, close: async () => {} };
  }),
);

runContract(
  { describe, it },
  'ChangeSink: recording',
  changeSinkContract(
    () => {
      const sink = new RecordingSink();
      const nameOf = ({ primaryKey, version }: RowChange): string => `${String(primaryKey['id'])}@${version.version}`;
      sink.poison(({ primaryKey }) => (primaryKey['id'] === -1 ? new Error('poison') : undefined));
      let broken = false;
      sink.hold(async () => {
        if (broken) {
          throw new Error('broken');
        }
      });
      return {
        sink,
        change,
        nameOf,
        stored: async () => new Map(sink.changes.map((one) => [nameOf(one), 1])),
        break: () => void (broken = true),
        mend: () => void (broken = false),
        poison: () => change(-1, 1n),
        close: async () => {},
      };
    },
    { breaks: true, poison: true },
  ),
);

describe('TableFold', () => {
  const fold = () => new TableFold(({ id }) => String(id));
  const levels = (of: TableFold) => [...of.rows].map(([key, { level }]) => [key, level]);

  it('keeps the newer value when an older change arrives late', () => {
    const reader = fold();
    reader.accept([change(1, 5n), change(1, 3n)], { fence: 1n });
    reader.accept([change(1, 1n, 2n)], { fence: 1n });

    expect(levels(reader)).toEqual([['1', 1]]);
  });

  it('sweeps what a resync did not offer, and lets nothing older come back', () => {
    const reader = fold();
    reader.accept([change(1, 5n), change(2, 5n), change(3, 9n)], { fence: 1n });
    reader.announce({ kind: 'resyncStarted', reason: 'tableTruncated', fromVersion: 5n }, { epoch: 1n, fence: 2n });
    reader.accept([change(1, 5n)], { fence: 2n });
    // A former holder's page, read before the truncate.
    reader.accept([change(2, 5n)], { fence: 1n });
    reader.announce({ kind: 'resyncCompleted', reason: 'tableTruncated', version: 5n }, { epoch: 1n, fence: 2n });
    reader.accept([change(2, 4n)], { fence: 2n });

    expect(levels(reader)).toEqual([
      ['1', 5],
      ['3', 9],
    ]);
  });
});
