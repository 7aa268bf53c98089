import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import {
  EmbeddedDatabaseBusyError,
  EmbeddedDatabaseClosedError,
  EmbeddedNestedTurnError,
  EmbeddedTurnExpiredError,
} from '../embedded.errors.js';
import { type Turn, Turns } from './turns.js';

function make(maxWaitingTurns = 10) {
  const clock = new VirtualClock();
  const expired: Turn[] = [];
  const turns = new Turns(clock, { database: 'db', turnTimeoutMs: 1_000, maxWaitingTurns }, (turn) =>
    expired.push(turn),
  );
  return { clock, expired, turns };
}

describe('Turns', () => {
  it('come in the order in which they were asked for, one at a time', async () => {
    const { clock, turns } = make();
    const order: string[] = [];
    const use = async (name: string): Promise<void> => {
      const turn = await turns.take(name);
      order.push(`${name} begins`);
      await Promise.resolve();
      order.push(`${name} ends`);
      turn.giveBack();
    };

    await Promise.all(['a', 'b', 'c'].map(use));

    expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('end at their deadline with an error that names the holder, and the next caller has the connection', async () => {
    const { clock, expired, turns } = make();
    const forgotten = await turns.take('writer: INSERT INTO "stock"');
    const next = turns.take('reader');

    await clock.advance(999);
    expect(forgotten.isHeld).toBe(true);
    await clock.advance(1);

    expect(forgotten.isHeld).toBe(false);
    expect(forgotten.failure).toBeInstanceOf(EmbeddedTurnExpiredError);
    expect(forgotten.failure?.message).toContain('writer: INSERT INTO "stock"');
    expect(expired).toEqual([forgotten]);
    expect((await next).isHeld).toBe(true);
    // Too late: it takes nothing from the one who has it now.
    forgotten.giveBack();
    expect((await next).isHeld).toBe(true);
    (await next).giveBack();
    expect(clock.pendingTimers).toBe(0);
  });

  it('refuse one caller more than may wait, and name the holder', async () => {
    const { turns } = make(1);
    const held = await turns.take('holder');
    const waiting = turns.take('waiting');

    await expect(turns.take('one more')).rejects.toBeInstanceOf(EmbeddedDatabaseBusyError);
    await expect(turns.take('one more')).rejects.toThrow('"holder"');

    held.giveBack();
    (await waiting).giveBack();
    (await turns.take('later')).giveBack();
  });

  it('are all kept before a close resolves, and none is given after it', async () => {
    const { clock, turns } = make();
    const held = await turns.take('holder');
    const waiting = turns.take('waiting');
    let closed = false;
    const closing = turns.close().then(() => (closed = true));

    await expect(turns.take('later')).rejects.toBeInstanceOf(EmbeddedDatabaseClosedError);
    held.giveBack();
    await clock.settle();
    expect(closed).toBe(false);
    (await waiting).giveBack();
    await closing;
    expect(clock.pendingTimers).toBe(0);
  });

  it('are refused to a caller inside the turn that it waits for, after half the turn’s time, at most a second', async () => {
    const { clock, turns } = make();
    const outer = await turns.take('outer');
    const nested = turns.inside(outer, () => turns.take('nested')).catch((error: unknown) => error);
    await clock.advance(499);
    expect(turns.waiting).toBe(1);
    await clock.advance(1);

    expect(await nested).toBeInstanceOf(EmbeddedNestedTurnError);
    expect(await nested).toMatchObject({ caller: 'nested', holder: 'outer' });
    expect(turns.waiting).toBe(0);
    expect(outer.isHeld).toBe(true);
    outer.giveBack();
    expect(clock.pendingTimers).toBe(0);
  });

  it('come as to anybody else where work that began inside a turn outlives it', async () => {
    const { clock, turns } = make();
    const outer = await turns.take('outer');
    const late = turns.inside(outer, () => turns.take('late'));
    const other = turns.take('other');
    await clock.advance(400);
    outer.giveBack();
    expect((await late).isHeld).toBe(true);
    await clock.advance(999);
    expect((await late).isHeld).toBe(true);
    (await late).giveBack();

    const behind = turns.inside(outer, () => turns.take('behind'));
    await clock.advance(600);
    (await other).giveBack();
    (await behind).giveBack();
    expect(clock.pendingTimers).toBe(0);
  });
});
