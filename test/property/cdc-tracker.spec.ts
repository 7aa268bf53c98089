import { Logger } from '@nestjs/common';
import { assert, asyncProperty, integer, record } from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { History, type HistoryOptions, type HistoryOutcome } from './cdc-tracker.history.js';

const RUNS = 2_000;

const options = record({
  seed: integer(),
  pageSize: integer({ min: 1, max: 6 }),
  chunkSize: integer({ min: 1, max: 6 }),
  steps: integer({ min: 10, max: 40 }),
});

/** Sums over all histories: what did not happen was not tested. */
class Coverage {
  histories = 0;
  readonly seen = new Map<string, number>();

  add(outcome: HistoryOutcome): void {
    this.histories += 1;
    for (const [name, count] of Object.entries(outcome.happened)) {
      this.seen.set(name, (this.seen.get(name) ?? 0) + count);
    }
  }
}

async function play(input: HistoryOptions): Promise<HistoryOutcome> {
  const history = new History(input);
  await history.run();
  return history.outcome();
}

describe('A change tracker under random writers, crashes, lost leases, failing sinks, clean-up, truncate and restore', () => {
  // Thousands of failures are meant here; their warnings would bury the result.
  beforeAll(() => Logger.overrideLogger(false));
  afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

  it(`leaves every reader equal to the table in each of ${RUNS} histories, with no checkpoint ahead of acceptance`, async () => {
    const coverage = new Coverage();
    await assert(
      asyncProperty(options, async (input) => {
        const outcome = await play({ ...input, trouble: 'all', rule: 'keyset' });
        coverage.add(outcome);
        expect(outcome.ahead).toEqual([]);
        expect(outcome.reader).toEqual(outcome.table);
        expect(outcome.timersLeft).toBe(0);
      }),
      { numRuns: RUNS },
    );

    expect(coverage.histories).toBeGreaterThanOrEqual(RUNS);
    for (const name of [
      'commits of more rows than a page',
      'crashes after hand-off, before the checkpoint',
      'crashes elsewhere',
      'leases lost',
      'hand-offs that failed whole',
      'hand-offs that failed in part',
      'saves that were done and then failed',
      'resyncs: firstStart',
      'resyncs: newSinkInstance',
      'resyncs: checkpointExpired',
      'resyncs: tableTruncated',
      'resyncs: tableReplaced',
      'resyncs: schemaChanged',
      'resyncs: epochChanged',
      'bootstraps that a crash interrupted',
      'rows deleted and inserted again',
    ]) {
      expect(coverage.seen.get(name) ?? 0, name).toBeGreaterThan(10);
    }
  });

  it('loses rows when the last row of a page moves the checkpoint to its version: the test can fail', async () => {
    const runs = 100;
    let wrong = 0;
    for (let seed = 0; seed < runs; seed++) {
      const outcome = await play({
        seed,
        pageSize: 3,
        chunkSize: 3,
        steps: 30,
        trouble: 'crashes',
        rule: 'lastVersion',
      });
      wrong += JSON.stringify(outcome.reader) === JSON.stringify(outcome.table) ? 0 : 1;
    }

    expect(wrong).toBeGreaterThan(runs / 2);
  });
});
