import { Logger } from '@nestjs/common';
import { beforeEach, describe, expect, it } from 'vitest';
import { ShutdownTimeoutError } from '../resilience.errors.js';
import { VirtualClock } from '../testing/virtual.clock.js';
import type { ShutdownReport } from './shutdown-report.js';
import { SHUTDOWN_PHASES, type ShutdownPhase } from './shutdown-task.js';
import { ShutdownCoordinator } from './shutdown.coordinator.js';
import { resolveShutdownOptions } from './shutdown.options.js';

let clock: VirtualClock;
let coordinator: ShutdownCoordinator;
let order: string[];

beforeEach(() => {
  Logger.overrideLogger(false);
  clock = new VirtualClock();
  coordinator = new ShutdownCoordinator(clock, resolveShutdownOptions({ phaseTimeoutsMs: { work: 1_000 } }));
  order = [];
});

const note = (name: string, phase: ShutdownPhase): (() => void) =>
  coordinator.register({ name, phase, stop: () => void order.push(name) });
const hooks = async (): Promise<ShutdownReport> => {
  await coordinator.beforeApplicationShutdown();
  await coordinator.onApplicationShutdown();
  return coordinator.report;
};
const outcomes = (report: ShutdownReport): string[] =>
  report.steps.flatMap(({ tasks }) => tasks.map(({ name, outcome }) => `${name} ${outcome}`));

describe('ShutdownCoordinator', () => {
  it('runs the phases in their order, whatever the order of registration, and reports a clean stop', async () => {
    SHUTDOWN_PHASES.toReversed().forEach((phase) => note(phase, phase));
    expect(coordinator.phase).toBe('running');
    expect(coordinator.isStopping).toBe(false);

    const report = await coordinator.runThrough('clients');

    expect(order).toEqual([...SHUTDOWN_PHASES]);
    expect(report).toMatchObject({ clean: true, leftOver: 0 });
    expect(coordinator.phase).toBe('stopped');
    expect(clock.pendingTimers).toBe(0);
  });

  it('is stopping from the first moment on', () => {
    void coordinator.runThrough('readiness');
    expect(coordinator.isStopping).toBe(true);
    expect(coordinator.phase).toBe('readiness');
  });

  it('flushes again between the two hooks of Nest, where HTTP is closed, and runs everything else once', async () => {
    SHUTDOWN_PHASES.forEach((phase) => note(phase, phase));
    await hooks();
    await hooks();

    expect(order).toEqual(['readiness', 'intake', 'work', 'flush', 'flush', 'clients']);
  });

  it('runs tasks of a phase side by side and cuts the phase at its time; a task may still say what it left over', async () => {
    const reasons: unknown[] = [];
    coordinator.register({
      name: 'slow',
      phase: 'work',
      stop: async ({ signal, timeoutMs }) => {
        expect(timeoutMs).toBe(1_000);
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        reasons.push(signal.reason);
        return 7;
      },
    });
    coordinator.register({ name: 'hanging', phase: 'work', stop: () => new Promise(() => {}) });
    coordinator.register({ name: 'quick', phase: 'work', stop: () => 2 });
    note('client', 'clients');
    const stopping = coordinator.runThrough('clients');
    await clock.advance(999);
    expect(coordinator.phase).toBe('work');
    await clock.advance(251);
    const report = await stopping;

    expect(outcomes(report)).toEqual(['slow cutShort', 'hanging timedOut', 'quick stopped', 'client stopped']);
    expect(report).toMatchObject({ clean: false, leftOver: 9 });
    expect(ShutdownTimeoutError.is(reasons[0])).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('never throws: errors are collected and later phases run', async () => {
    coordinator.register({ name: 'rejecting', phase: 'intake', stop: () => Promise.reject(new Error('boom')) });
    coordinator.register({
      name: 'throwing',
      phase: 'flush',
      stop: () => {
        throw new Error('boom');
      },
    });
    note('client', 'clients');
    const report = await coordinator.runThrough('clients');

    expect(outcomes(report)).toEqual(['rejecting failed', 'throwing failed', 'client stopped']);
    expect(report.clean).toBe(false);
  });

  it('hears no more of a task that fails after it was left behind', async () => {
    let fail: (error: Error) => void = () => {};
    coordinator.register({
      name: 'late',
      phase: 'work',
      stop: () => new Promise((_resolve, reject) => (fail = reject)),
    });
    const stopping = coordinator.runThrough('clients');
    await clock.advance(2_000);
    fail(new Error('late'));

    expect(outcomes(await stopping)).toEqual(['late timedOut']);
  });

  it('may be asked by several callers, also by a task of its own, and every one waits for the same stop', async () => {
    let nested: Promise<ShutdownReport> | undefined;
    coordinator.register({
      name: 'nested',
      phase: 'intake',
      stop: () => {
        nested = coordinator.runThrough('clients');
      },
    });
    note('work', 'work');
    const [first, second] = await Promise.all([coordinator.runThrough('clients'), coordinator.runThrough('clients')]);

    expect(order).toEqual(['work']);
    expect(first).toEqual(second);
    expect(await nested).toEqual(first);
  });

  it('stops what is registered after its phase at once, and waits for it', async () => {
    coordinator.register({ name: 'opens a client', phase: 'flush', stop: () => void note('client', 'clients') });
    coordinator.register({
      name: 'starts work',
      phase: 'flush',
      stop: () => {
        coordinator.register({ name: 'late work', phase: 'work', stop: () => clock.sleep(500) });
      },
    });
    const stopping = coordinator.runThrough('clients');
    await clock.advance(499);
    expect(coordinator.phase).toBe('clients');
    await clock.advance(1);
    const report = await stopping;

    expect(order).toEqual(['client']);
    expect(outcomes(report)).toContain('late work stopped');
  });

  it('forgets a task that was taken out', async () => {
    note('gone', 'work')();
    await coordinator.runThrough('clients');

    expect(order).toEqual([]);
  });
});
