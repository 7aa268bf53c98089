import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { seedsOf } from './division.js';
import { BEFALLS_ALL, expectHappened, PATIENT_MS, playAll } from './histories.js';
import { InMemorySubject } from './subjects/in-memory.subject.js';

const SEEDS = seedsOf({ kind: 'in memory', file: 1 });

// Thousands of failures are meant here; their warnings would bury the result.
beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

describe('Replicas of a tracker on a database in memory', () => {
  it(
    `keep every promise in each of ${SEEDS.length} histories of writers, crashes, lost leases, failing sinks, clean-up, truncate and restore`,
    async () => {
      const happened = await playAll(SEEDS, { subject: InMemorySubject.create, trouble: 'all' });
      expectHappened(happened, [
        ...BEFALLS_ALL,
        'leases lost',
        'saves that were fenced off',
        'restores',
        'resyncs: epochChanged',
      ]);
    },
    PATIENT_MS,
  );
});
