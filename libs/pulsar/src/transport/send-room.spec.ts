import { array, assert, constantFrom, integer, nat, oneof, property, record } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SendRoom } from './send-room.js';

const MAX_MESSAGES = 3;
const MAX_BYTES = 100;

const acts = array(
  oneof(
    { weight: 5, arbitrary: record({ act: constantFrom('enter' as const), bytes: integer({ min: 0, max: 150 }) }) },
    { weight: 3, arbitrary: record({ act: constantFrom('release' as const), which: nat(10) }) },
    { weight: 2, arbitrary: record({ act: constantFrom('abort' as const), which: nat(10) }) },
  ),
  { minLength: 1, maxLength: 60 },
);

interface Caller {
  readonly number: number;
  readonly bytes: number;
  readonly abort: AbortController;
  state: 'waits' | 'in' | 'aborted' | 'out';
}

/** Enters, releases and aborts at random, and tells what broke a rule. */
class Door {
  readonly room = new SendRoom('t', MAX_MESSAGES, MAX_BYTES);
  readonly callers: Caller[] = [];
  readonly entered: number[] = [];
  readonly broken: string[] = [];

  of(state: Caller['state']): Caller[] {
    return this.callers.filter((caller) => caller.state === state);
  }

  enter(bytes: number): void {
    const caller: Caller = { number: this.callers.length, bytes, abort: new AbortController(), state: 'waits' };
    this.callers.push(caller);
    this.room.enter(
      bytes,
      () => {
        if (caller.state !== 'waits') {
          this.broken.push(`let one in that was ${caller.state}`);
        }
        caller.state = 'in';
        this.entered.push(caller.number);
      },
      caller.abort.signal,
      (error) => {
        if (caller.state !== 'waits' || error.code !== 'SMARTPULSE_PULSAR_ABORTED') {
          this.broken.push(`aborted one that was ${caller.state}`);
        }
        caller.state = 'aborted';
      },
    );
  }

  leave(which: number): void {
    const inside = this.of('in');
    const caller = inside[which % Math.max(1, inside.length)];
    if (caller !== undefined) {
      caller.state = 'out';
      this.room.release(caller.bytes);
    }
  }

  check(): void {
    const inside = this.of('in');
    const bytes = inside.reduce((sum, caller) => sum + caller.bytes, 0);
    const [first] = this.of('waits');
    if (inside.length > MAX_MESSAGES || (bytes > MAX_BYTES && inside.length > 1)) {
      this.broken.push(`${inside.length} messages of ${bytes} bytes are in`);
    }
    if (first !== undefined && inside.length < MAX_MESSAGES && bytes + first.bytes <= MAX_BYTES) {
      this.broken.push(`the first waits though there is room for it`);
    }
    if (this.room.waiting !== this.of('waits').length) {
      this.broken.push(`says that ${this.room.waiting} wait`);
    }
  }
}

describe('SendRoom', () => {
  it('keeps its bounds and the order of the calls, lets in whoever fits, and aborts only who waits', () => {
    assert(
      property(acts, (all) => {
        const door = new Door();
        for (const act of all) {
          if (act.act === 'enter') {
            door.enter(act.bytes);
          } else if (act.act === 'release') {
            door.leave(act.which);
          } else {
            door.callers[act.which % Math.max(1, door.callers.length)]?.abort.abort();
          }
          door.check();
        }
        while (door.of('in').length > 0) {
          door.leave(0);
          door.check();
        }
        expect(door.broken).toEqual([]);
        expect(door.of('waits')).toEqual([]);
        expect(door.entered).toEqual(door.entered.toSorted((a, b) => a - b));
      }),
      { numRuns: 1_000 },
    );
  });
});
