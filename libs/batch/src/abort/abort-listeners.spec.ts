import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { AbortListeners, type AbortTarget } from './abort-listeners.js';

function target(onCallOff: (reason: unknown) => void = () => undefined) {
  const reasons: unknown[] = [];
  const abortTarget: AbortTarget = {
    callOff: (reason) => {
      reasons.push(reason);
      onCallOff(reason);
    },
  };
  return { abortTarget, reasons };
}

describe('AbortListeners', () => {
  it('adds one listener for many targets and removes it with the last', () => {
    const listeners = new AbortListeners();
    const { signal } = new AbortController();
    const targets = [target(), target()].map(({ abortTarget }) => abortTarget);
    targets.forEach((each) => listeners.watch(signal, each));
    expect([getEventListeners(signal, 'abort').length, listeners.size]).toEqual([1, 1]);
    targets.forEach((each) => listeners.unwatch(signal, each));
    targets.forEach((each) => listeners.unwatch(signal, each));
    expect([getEventListeners(signal, 'abort').length, listeners.size]).toEqual([0, 0]);
  });

  it('calls every target off once, with the reason as it was given', () => {
    const listeners = new AbortListeners();
    const controller = new AbortController();
    const watched = [target(), target()];
    watched.forEach(({ abortTarget }) => listeners.watch(controller.signal, abortTarget));
    controller.abort('because');
    expect(watched.map(({ reasons }) => reasons)).toEqual([['because'], ['because']]);
    expect(listeners.size).toBe(0);
  });

  it('leaves out a target that is forgotten while another is called off', () => {
    const listeners = new AbortListeners();
    const controller = new AbortController();
    const second = target();
    const first = target(() => listeners.unwatch(controller.signal, second.abortTarget));
    listeners.watch(controller.signal, first.abortTarget);
    listeners.watch(controller.signal, second.abortTarget);
    controller.abort();
    expect([first.reasons.length, second.reasons.length]).toEqual([1, 0]);
  });
});
