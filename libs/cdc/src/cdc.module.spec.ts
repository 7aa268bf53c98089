import { Inject, Injectable, Logger, Module } from '@nestjs/common';
import { SchedulerRegistry, ScheduleModule } from '@nestjs/schedule';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { ConfigurationError, ResilienceModule, ShutdownCoordinator } from '@smartpulse/resilience';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type AcceptOutcome,
  CdcHealthProbe,
  CdcModule,
  CdcRegistry,
  ChangeSource,
  CheckpointStore,
  type FeedEvent,
  Leadership,
  OnFeedEvent,
  OnTableChange,
  PollSignal,
  type RowChange,
  StampedReader,
} from './index.js';
import { LAB_TABLE, RecordingSink, TrackerLab } from './testing/index.js';
import { Deferred } from './tracker/deferred.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

@Injectable()
class Handlers {
  readonly pages: (readonly RowChange[])[] = [];
  readonly singles: RowChange[] = [];
  readonly events: FeedEvent[] = [];
  fail = false;

  @OnTableChange(LAB_TABLE, { consumer: 'pages', bootstrap: 'whenNeeded' })
  async onPage(changes: readonly RowChange[]): Promise<void> {
    if (this.fail) {
      throw new Error('no');
    }
    this.pages.push(changes);
  }

  @OnTableChange(LAB_TABLE, { batch: false })
  onOne(change: RowChange): AcceptOutcome | void {
    if (change.primaryKey['id'] === 13) {
      return { status: 'poison', error: new Error('unlucky') };
    }
    this.singles.push(change);
  }

  @OnFeedEvent(LAB_TABLE)
  onEvent(event: FeedEvent): void {
    this.events.push(event);
  }
}

function app(
  lab: TrackerLab,
  ...modules: Parameters<typeof Test.createTestingModule>[0]['imports'] & object
): TestingModuleBuilder {
  const { clock, random, source, checkpoints, leadership, pollSignal } = lab;
  return Test.createTestingModule({
    imports: [
      ResilienceModule.forRoot({ clock, random }),
      CdcModule.forRoot({ source, checkpoints, leadership, pollSignal, tracker: { maxIntervalMs: 5_000 } }),
      ...modules,
    ],
  }).setLogger({ log: () => {}, warn: () => {}, error: () => {} });
}

@Module({ providers: [Handlers], exports: [Handlers] })
class HandlersModule {}

describe('CdcModule', () => {
  it('provides the ports and the registry everywhere, and closes the source with the app, after the trackers', async () => {
    const lab = new TrackerLab();
    const module = await app(lab).compile();
    await module.init();
    const registry = module.get(CdcRegistry);
    const tracker = lab.track({}, registry);
    await lab.caughtUp(tracker);

    expect(module.get(ChangeSource)).toBe(lab.source);
    expect(module.get(CheckpointStore)).toBe(lab.checkpoints);
    expect(module.get(Leadership)).toBe(lab.leadership);
    expect(module.get(PollSignal)).toBe(lab.pollSignal);
    expect(registry.list()).toEqual([tracker]);
    expect(registry.get(LAB_TABLE, 'lab')).toBe(tracker);
    await module.close();
    expect(lab.source.closed).toBe(true);
    expect(tracker.state.kind).toBe('stopped');
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('starts trackers only when the app has started', async () => {
    const lab = new TrackerLab();
    const module = await app(lab).compile();
    const tracker = lab.track({}, module.get(CdcRegistry));
    await lab.clock.advance(60_000);
    expect(tracker.state.kind).toBe('stopped');

    await module.init();
    await lab.caughtUp(tracker);

    await module.close();
  });

  it('reports a page that was left because the shutdown ran out of time', async () => {
    const lab = new TrackerLab();
    const module = await app(lab).compile();
    await module.init();
    const tracker = lab.track({}, module.get(CdcRegistry));
    await lab.caughtUp(tracker);
    lab.sink.hold(() => new Promise(() => {}));
    lab.write(1);
    tracker.pollNow();
    await lab.clock.advance(1);
    const closing = module.close();
    await lab.clock.advance(600_000);
    await closing;

    expect(module.get(ShutdownCoordinator).report.leftOver).toBe(1);
    expect(tracker.state.kind).toBe('stopped');
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('takes options from a factory', async () => {
    const { clock, random, source, checkpoints, leadership } = new TrackerLab();
    const module = await Test.createTestingModule({
      imports: [
        ResilienceModule.forRoot({ clock, random }),
        CdcModule.forRootAsync({ useFactory: async () => ({ source, checkpoints, leadership }) }),
      ],
    }).compile();

    expect(module.get(ChangeSource)).toBe(source);
    await expect(module.get(StampedReader).current()).rejects.toThrow('stampedReader');
    await module.close();
  });

  it('refuses wrong options at once, naming each, and never their values', () => {
    const { source, checkpoints } = new TrackerLab();
    const wrong = { source, checkpoints, leadership: 'secret', tracker: { pageSize: 0, intervalMs: 5 }, url: 'x' };

    const refused = (): unknown => Reflect.apply(Reflect.get(CdcModule, 'forRoot'), CdcModule, [wrong]);
    expect(refused).toThrow(ConfigurationError);
    expect(refused).toThrow(/leadership.*Leadership/);
    expect(refused).toThrow(/tracker\.pageSize.*1 to 10000/);
    expect(refused).toThrow(/intervalMs/);
    expect(refused).toThrow(/url/);
    expect(refused).not.toThrow(/secret/);
  });

  it('refuses a second forRoot in one app', async () => {
    const lab = new TrackerLab();
    const { source, checkpoints, leadership } = lab;

    await expect(app(lab, CdcModule.forRoot({ source, checkpoints, leadership })).compile()).rejects.toThrow(
      /more than once/,
    );
  });

  it('refuses wrong tracker options and a second tracker for one consumer and table', async () => {
    const lab = new TrackerLab();
    const registry = lab.registry();
    lab.track({}, registry);

    expect(() => lab.track({}, registry)).toThrow(/already tracked/);
    expect(() => lab.track({ consumer: 'a:b' }, registry)).toThrow(/consumer/);
    expect(() => lab.track({ table: 'forecast; drop' }, registry)).toThrow(/table.*schema\.name/);
    expect(() => lab.track({ consumer: 'x', minIntervalMs: 500, maxIntervalMs: 100 }, registry)).toThrow(
      /minIntervalMs/,
    );
    expect(registry.list()).toHaveLength(1);
    await expect(registry.resync(LAB_TABLE, 'nobody')).rejects.toThrow(/not tracked/);
  });
});

describe('tuning', () => {
  it('compares the two intervals only when the app’s and the tracker’s own are put together', async () => {
    const { clock, random, source, checkpoints, leadership, sink } = new TrackerLab();
    const parts = { source, checkpoints, leadership, tracker: { maxIntervalMs: 60_000 } };
    const module = await Test.createTestingModule({
      imports: [ResilienceModule.forRoot({ clock, random }), CdcModule.forRoot(parts)],
    }).compile();
    const registry = module.get(CdcRegistry);

    registry.track({ consumer: 'slow', table: LAB_TABLE, sink, minIntervalMs: 40_000 });
    expect(() => registry.track({ consumer: 'x', table: LAB_TABLE, sink, minIntervalMs: 70_000 })).toThrow(
      /minIntervalMs.*60000/,
    );
    await module.close();
  });
});

@Injectable()
class FeatureSink extends RecordingSink {
  constructor(@Inject(Handlers) readonly handlers: Handlers) {
    super('feature');
  }
}

describe('CdcModule.forFeature', () => {
  const feature = { consumer: 'feature', table: LAB_TABLE, sink: FeatureSink, pageSize: 7 };

  it('follows a table into a sink that a feature module provides, and that depends on other providers', async () => {
    @Module({ imports: [HandlersModule, CdcModule.forFeature([feature])], providers: [FeatureSink] })
    class FeatureModule {}
    const lab = new TrackerLab();
    lab.write(1);
    const module = await app(lab, FeatureModule).compile();
    await module.init();
    const tracker = module.get(CdcRegistry).get(LAB_TABLE, 'feature');
    if (tracker === undefined) {
      throw new Error('no tracker');
    }
    await lab.caughtUp(tracker);
    const sink = module.get(FeatureSink, { strict: false });

    expect(sink.handlers).toBeInstanceOf(Handlers);
    expect(sink.changes).toMatchObject([{ operation: 'snapshot', primaryKey: { id: 1 } }]);
    await module.close();
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('refuses wrong options at once, and at start a sink that nobody provides, a taken name, and an app without forRoot', async () => {
    const wrong = { ...feature, table: 'nothing', pageSize: 0, url: 'x' };
    expect(() => CdcModule.forFeature([wrong])).toThrow(/0\.table.*0\.pageSize.*url/);

    const absent = await app(new TrackerLab(), CdcModule.forFeature([feature])).compile();
    await expect(absent.init()).rejects.toThrow(/FeatureSink is no provider/);

    @Module({ imports: [HandlersModule, CdcModule.forFeature([feature, feature])], providers: [FeatureSink] })
    class TwiceModule {}
    const twice = await app(new TrackerLab(), TwiceModule).compile();
    await expect(twice.init()).rejects.toThrow(/already tracked/);

    const rootless = Test.createTestingModule({ imports: [CdcModule.forFeature([feature])] }).compile();
    await expect(rootless).rejects.toThrow(/CdcModule\.forFeature: there is no CdcModule\.forRoot/);
  });
});

describe('CdcHealthProbe', () => {
  it('says that trackers are starting until the app has started, and is started when each has made its first attempt', async () => {
    const lab = new TrackerLab();
    const module = await app(lab).compile();
    const ready = new Deferred();
    const tracker = lab.track({ startAfter: () => ready.promise }, module.get(CdcRegistry));
    const probe = module.get(CdcHealthProbe);
    const said = () => [probe.started(), probe.check().details?.[`lab:${LAB_TABLE}`]];
    expect(said()).toEqual([false, 'starting']);

    await module.init();
    await lab.clock.advance(10_000);
    expect(said()).toEqual([false, 'starting']);
    ready.resolve();
    await lab.caughtUp(tracker);
    expect(said()).toEqual([true, 'streaming, 0 versions behind']);

    await tracker.stop();
    expect(said()).toEqual([true, 'stopped']);
    await module.close();
  });

  it('is started also where the database is down and where another replica reads', async () => {
    const lab = new TrackerLab();
    const module = await app(lab).compile();
    lab.source.track(LAB_TABLE, false);
    lab.track({}, module.get(CdcRegistry));
    await lab.leadership.acquire('cdc:other:db:dbo.stock');
    lab.track({ consumer: 'other' }, module.get(CdcRegistry));
    await module.init();
    await lab.clock.advance(1_000);

    expect(module.get(CdcHealthProbe).started()).toBe(true);
    expect(module.get(CdcHealthProbe).check().details).toMatchObject({
      [`lab:${LAB_TABLE}`]: expect.stringMatching(/^failing/),
      [`other:${LAB_TABLE}`]: 'waitingForLease',
    });
    await module.close();
  });
});

describe('@OnTableChange', () => {
  it('calls handlers with pages or single changes, and goes on after the checkpoint when the app comes again', async () => {
    const lab = new TrackerLab();
    lab.write(1);
    const first = await app(lab, HandlersModule).compile();
    await first.init();
    const registry = first.get(CdcRegistry);
    expect(registry.list().map(({ consumer }) => consumer)).toEqual(['pages', 'Handlers.onOne']);
    for (const tracker of registry.list()) {
      await lab.caughtUp(tracker);
    }
    lab.write(12, 13);
    for (const tracker of registry.list()) {
      await lab.caughtUp(tracker);
    }
    const handlers = first.get(Handlers);

    expect(handlers.pages.map((page) => page.map(({ operation }) => operation))).toEqual([
      ['snapshot'],
      ['upsert', 'upsert'],
    ]);
    expect(handlers.singles.map(({ primaryKey }) => primaryKey['id'])).toEqual([1, 12]);
    expect(registry.get(LAB_TABLE, 'Handlers.onOne')?.snapshot().counts.poison).toBe(1);
    expect(handlers.events.filter(({ kind }) => kind === 'resyncCompleted')).toHaveLength(2);
    await first.close();

    const second = await app(lab, HandlersModule).compile();
    await second.init();
    lab.write(5);
    for (const tracker of second.get(CdcRegistry).list()) {
      await lab.caughtUp(tracker);
    }
    expect(
      second
        .get(Handlers)
        .pages.flat()
        .map(({ primaryKey }) => primaryKey['id']),
    ).toEqual([5]);
    await second.close();
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('offers a page again when its handler threw, and shows it in health', async () => {
    const lab = new TrackerLab();
    const module = await app(lab, HandlersModule).compile();
    await module.init();
    const handlers = module.get(Handlers);
    const tracker = module.get(CdcRegistry).get(LAB_TABLE, 'pages');
    if (tracker === undefined) {
      throw new Error('no tracker');
    }
    await lab.caughtUp(tracker);
    handlers.fail = true;
    lab.write(1);
    await lab.clock.advance(60_000);
    const probe = module.get(CdcHealthProbe);
    expect(probe.check()).toMatchObject({ status: 'degraded' });
    expect(probe.check().details?.[`pages:${LAB_TABLE}`]).toMatch(
      /^failing, 1 versions behind, \d+ failed attempts \(Error\)$/,
    );

    handlers.fail = false;
    await lab.caughtUp(tracker);

    expect(handlers.pages).toHaveLength(1);
    expect(probe.check().status).toBe('up');
    await module.close();
  });
});

describe('the outer tick', () => {
  const NAME = `smartpulse-cdc:lab:${LAB_TABLE}`;

  it('is a CronJob in the SchedulerRegistry whose start, stop and fire are the tracker’s, and goes with the app', async () => {
    const lab = new TrackerLab();
    const module = await app(lab, ScheduleModule.forRoot()).compile();
    const tracker = lab.track({ maxIntervalMs: 80_000_000 }, module.get(CdcRegistry));
    await module.init();
    await lab.caughtUp(tracker);
    const scheduler = module.get(SchedulerRegistry);
    const job = scheduler.getCronJob(NAME);
    const seconds = job.nextDates(3).map((date) => date.toMillis() / 1_000);
    expect(job.isActive).toBe(true);
    expect(seconds.slice(1).map((second, index) => second - (seconds[index] ?? 0))).toEqual([30, 30]);

    await lab.clock.advance(3_600_000);
    lab.write(1);
    await job.fireOnTick();
    await lab.clock.advance(1);
    expect(lab.sink.changes).toHaveLength(1);

    await job.stop();
    expect(tracker.state.kind).toBe('stopped');
    expect(job.isActive).toBe(false);
    job.start();
    await lab.caughtUp(tracker);
    expect(job.isActive).toBe(true);

    await module.close();
    expect(scheduler.doesExist('cron', NAME)).toBe(false);
    expect(job.isActive).toBe(false);
    expect(tracker.state.kind).toBe('stopped');
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('does not restart a tracker that was stopped beside it', async () => {
    const lab = new TrackerLab();
    const module = await app(lab, ScheduleModule.forRoot()).compile();
    const tracker = lab.track({}, module.get(CdcRegistry));
    await module.init();
    await lab.caughtUp(tracker);
    await tracker.stop();
    const job = module.get(SchedulerRegistry).getCronJob(NAME);
    // What the package itself does after every tick.
    job.start();
    await job.fireOnTick();
    await lab.clock.settle();

    expect(tracker.state.kind).toBe('stopped');
    await module.close();
  });

  it('is not there without ScheduleModule, and trackers run all the same', async () => {
    const lab = new TrackerLab();
    const module = await app(lab).compile();
    await module.init();
    const tracker = lab.track({}, module.get(CdcRegistry));
    await lab.caughtUp(tracker);

    await module.close();
  });
});
