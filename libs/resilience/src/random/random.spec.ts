import { describe, expect, it } from 'vitest';
import { runContract } from '../testing/contract.js';
import { randomContract } from '../testing/random.contract.js';
import { SeededRandom } from './seeded.random.js';
import { SystemRandom } from './system.random.js';

runContract(
  { describe, it },
  'Random: system',
  randomContract(() => new SystemRandom()),
);
runContract(
  { describe, it },
  'Random: seeded',
  randomContract(() => new SeededRandom(7)),
);

describe('SeededRandom', () => {
  it('repeats itself exactly under one seed, and not under another', () => {
    const draw = (seed: number): readonly number[] => {
      const random = new SeededRandom(seed);
      return Array.from({ length: 50 }, () => random.next());
    };

    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
  });
});
