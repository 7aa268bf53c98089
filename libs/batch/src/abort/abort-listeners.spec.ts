import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { AbortListeners } from './abort-listeners.js';

interface Target {
  readonly reasons: unknown[];
  readonly onCallOff: () => void;
}

function target(onCallOff = (): void => undefined): Target {
  return { reasons: [], onCallOff };
}

function listen(): AbortListeners<Target> {
  return new AbortListeners<Target>(({ reasons, onCallOff }, reason) => {
    reasons.push(reason);
    onCallOff();
  });
}

describe('AbortListeners', () => {
  it('adds one listener for many targets and removes it with the last', () => {
    const listeners = listen();
    const { signal } = new AbortController();
    const targets = [target(), target()];
    targets.forEach((each) => listeners.watch(signal, each));
    expect([getEventListeners(signal, 'abort').length, listeners.size]).toEqual([1, 1]);
    targets.forEach((each) => listeners.unwatch(signal, each));
    targets.forEach((each) => listeners.unwatch(signal, each));
    expect([getEventListeners(signal, 'abort').length, listeners.size]).toEqual([0, 0]);
  });

  it('calls every target off once, with the reason as it was given', () => {
    const listeners = listen();
    const controller = new AbortController();
    const watched = [target(), target()];
    watched.forEach((each) => listeners.watch(controller.signal, each));
    controller.abort('because');
    expect(watched.map(({ reasons }) => reasons)).toEqual([['because'], ['because']]);
    expect(listeners.size).toBe(0);
  });

  it('leaves out a target that is forgotten while another is called off', () => {
    const listeners = listen();
    const controller = new AbortController();
    const second = target();
    const first = target(() => listeners.unwatch(controller.signal, second));
    listeners.watch(controller.signal, first);
    listeners.watch(controller.signal, second);
    controller.abort();
    expect([first.reasons.length, second.reasons.length]).toEqual([1, 0]);
  });
});
