import assert from 'node:assert/strict';
import type { Random } from '../random/random.js';
import type { ContractCase } from './contract.js';

const DRAWS = 2_000;

/** What every {@link Random} promises; the bounds are so wide that chance alone does not cross them. */
export function randomContract(create: () => Random): readonly ContractCase[] {
  return [
    {
      title: 'draws numbers from 0 to below 1, all over that range',
      async run() {
        const random = create();
        const drawn = Array.from({ length: DRAWS }, () => random.next());
        assert.ok(drawn.every((number) => number >= 0 && number < 1));
        const mean = drawn.reduce((sum, number) => sum + number, 0) / DRAWS;
        assert.ok(Math.abs(mean - 0.5) < 0.1, `the mean is ${mean}`);
      },
    },
    {
      title: 'draws every whole number below a limit, and none beside',
      async run() {
        const random = create();
        const drawn = new Set(Array.from({ length: DRAWS }, () => random.int(10)));
        assert.deepEqual(
          [...drawn].sort((a, b) => a - b),
          [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        );
        assert.equal(random.int(1), 0);
      },
    },
    {
      title: 'gives as many bytes as it is asked for, none of them always the same',
      async run() {
        const random = create();
        assert.equal(random.bytes(0).length, 0);
        const seen = new Set(random.bytes(DRAWS));
        assert.ok(seen.size > 200, `${seen.size} different bytes`);
      },
    },
    {
      title: 'makes identifiers of 22 characters that fit into a URL, and none twice',
      async run() {
        const random = create();
        const made = new Set(Array.from({ length: DRAWS }, () => random.id()));
        assert.equal(made.size, DRAWS);
        assert.ok([...made].every((id) => /^[\w-]{22}$/.test(id)));
      },
    },
  ];
}
