import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Clock } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { LIBRARIES, ROOT } from './source-tree.js';

describe('one name, one copy', () => {
  it('knows one Clock, whichever entry it comes through', () => {
    expect(new VirtualClock()).toBeInstanceOf(Clock);
    expect(new SeededRandom(1).id()).toHaveLength(22);
  });

  it('resolves every library to one folder from every package', () => {
    const places = [
      ...LIBRARIES.map((library) => `libs/${library}`),
      'apps/production-forecast',
      'apps/notification-service',
      'apps/demo',
      '.',
    ];
    for (const library of LIBRARIES) {
      const folders = places.map((place) =>
        realpathSync(createRequire(join(ROOT, place, 'package.json')).resolve(`@smartpulse/${library}/package.json`)),
      );
      expect(new Set(folders)).toEqual(new Set([join(realpathSync(ROOT), 'libs', library, 'package.json')]));
    }
  });
});
