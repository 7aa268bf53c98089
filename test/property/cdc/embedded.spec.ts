import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { seedsOf } from './division.js';
import { BEFALLS_ALL, expectHappened, PATIENT_MS, playAll } from './histories.js';
import { EmbeddedSubject } from './subjects/embedded.subject.js';

const SEEDS = seedsOf({ kind: 'embedded', file: 1 });

// Thousands of failures are meant here; their warnings would bury the result.
beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

describe('Replicas of a tracker on the embedded database', () => {
  it(
    `keep every promise in each of ${SEEDS.length} histories of writers that keep the connection, lost leases, clean-up and truncate`,
    async () => {
      const happened = await playAll(SEEDS, { subject: EmbeddedSubject.create, trouble: 'all' });
      expectHappened(happened, [
        ...BEFALLS_ALL,
        'leases lost',
        'saves that were fenced off',
        'tracking off and on',
        'writers that give up',
        'writers that overstayed their turn',
      ]);
    },
    PATIENT_MS,
  );
});
