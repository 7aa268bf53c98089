import { Logger } from '@nestjs/common';
import { array, assert, asyncProperty, constantFrom, integer, option, record, uniqueArray } from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OutboxHistory, type OutboxOutcome, type Trouble, type TroublePlan } from './outbox-relay.history.js';

/** Rows of one key in one transaction and in several, before the relay first starts and while it runs. */
const STORY = [['a', 'b', 'a'], ['a'], ['b', null, 'a', 'a'], ['a', 'b', null], ['c'], ['a', 'a', 'b'], ['b', 'c']];
const PAGE = 4;

const quiet: TroublePlan = () => undefined;
const at =
  (point: number, trouble: Trouble): TroublePlan =>
  (step) =>
    step === point ? trouble : undefined;

function verdict({ lost, invented, disordered }: OutboxOutcome): object {
  return { lost, invented, disordered };
}
const PROMISED = { lost: [], invented: [], disordered: [] };

describe('The relay of an outbox', () => {
  beforeAll(() => Logger.overrideLogger(false));
  afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

  it('publishes every committed row once, in order per key, when nothing happens', async () => {
    const outcome = await new OutboxHistory(quiet, PAGE).play(STORY);
    expect(verdict(outcome)).toEqual(PROMISED);
    expect(outcome).toMatchObject({ duplicates: 0, lives: 1 });
    expect(new Set(outcome.steps)).toEqual(
      new Set(
        'load,state,state read,describe,describe read,chunk,chunk read,page,page read,createProducer,send,afterSend,flush,save,saved'.split(
          ',',
        ),
      ),
    );
  });

  it.each(['dies', 'fails'] as const)(
    'skips no row and keeps the order per key, at whichever step of its way it %s',
    async (trouble) => {
      const { steps } = await new OutboxHistory(quiet, PAGE).play(STORY);
      let duplicates = 0;
      for (const [point, name] of steps.entries()) {
        const outcome = await new OutboxHistory(at(point, trouble), PAGE).play(STORY);
        expect(verdict(outcome), `${trouble} at step ${point}, ${name}`).toEqual(PROMISED);
        expect(outcome.lives).toBe(trouble === 'dies' ? 2 : 1);
        duplicates += outcome.duplicates;
      }
      expect(duplicates).toBeGreaterThan(0);
    },
  );

  it('skips no row and keeps the order per key over any number of deaths and failures', async () => {
    const key = option(constantFrom('a', 'b', 'c'));
    const inputs = record({
      pageSize: integer({ min: 1, max: 5 }),
      transactions: array(array(key, { minLength: 1, maxLength: 5 }), { minLength: 2, maxLength: 8 }),
      troubles: uniqueArray(
        record({ step: integer({ min: 0, max: 200 }), trouble: constantFrom<Trouble>('dies', 'fails') }),
        {
          maxLength: 12,
          selector: ({ step }) => step,
        },
      ),
    });
    await assert(
      asyncProperty(inputs, async ({ pageSize, transactions, troubles }) => {
        const planned = new Map(troubles.map(({ step, trouble }) => [step, trouble]));
        const history = new OutboxHistory((step) => planned.get(step), pageSize);
        expect(verdict(await history.play(transactions))).toEqual(PROMISED);
      }),
      { numRuns: 150 },
    );
  });
});
