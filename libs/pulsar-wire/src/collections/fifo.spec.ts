import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fifo } from './fifo.js';

describe('a first-in, first-out queue', () => {
  it('does what an array does, in any order of calls', () => {
    const command = fc.oneof(
      { weight: 6, arbitrary: fc.constant('push' as const) },
      { weight: 5, arbitrary: fc.constant('shift' as const) },
      { weight: 1, arbitrary: fc.constant('takeAll' as const) },
      { weight: 1, arbitrary: fc.constant('remove' as const) },
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 400 }), (commands) => {
        const queue = new Fifo<{ readonly number: number }>();
        let model: { readonly number: number }[] = [];
        for (const [number, name] of commands.entries()) {
          if (name === 'push') {
            const item = { number };
            queue.push(item);
            model.push(item);
          } else if (name === 'shift') {
            expect(queue.shift()).toEqual(model.shift());
          } else if (name === 'remove') {
            const [middle] = model.splice(model.length >> 1, 1);
            expect(queue.find((item) => item.number === (middle?.number ?? -1))).toBe(middle);
            queue.remove(middle ?? { number });
          } else {
            expect(queue.takeAll()).toEqual(model);
            model = [];
          }
          expect(queue.size).toBe(model.length);
          expect(queue.first).toEqual(model[0]);
          expect([...queue]).toEqual(model);
        }
      }),
    );
  });

  it('holds on to nothing that has left it, though it is never empty', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const queue = new Fifo<object>();
    queue.push({});
    const left = passThrough(queue, 100);
    // A weak reference holds its object until the end of the turn that made it.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(queue.size).toBe(1);
    expect(left.filter((item) => item.deref() !== undefined)).toEqual([]);
  });
});

/** Each pushes the one before out. */
function passThrough(queue: Fifo<object>, count: number): readonly WeakRef<object>[] {
  return Array.from({ length: count }, () => {
    queue.push({});
    return new WeakRef(queue.shift() ?? {});
  });
}
