import { describe, expect, it } from 'vitest';
import { SendQueue } from './send-queue.js';

describe('SendQueue', () => {
  it('lets those in that waited behind one that was given up, where there is room for them', () => {
    const queue = new SendQueue(10, 100);
    const abort = new AbortController();
    const heard: string[] = [];
    const wait = (name: string, bytes: number, signal?: AbortSignal): void =>
      queue.wait(
        bytes,
        () => void heard.push(name),
        () => void heard.push(`${name} given up`),
        signal,
      );
    expect(queue.tryTake(60)).toBe(true);
    wait('large', 80, abort.signal);
    wait('small', 30);
    wait('next', 30);
    expect(heard).toEqual([]);
    abort.abort();
    expect(heard).toEqual(['large given up', 'small']);
    queue.release(1, 60);
    expect(heard).toEqual(['large given up', 'small', 'next']);
    expect([queue.messages, queue.waiting]).toEqual([2, 0]);
  });
});
