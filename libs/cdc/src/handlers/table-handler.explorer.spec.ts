import { Controller, Get, Injectable, Logger, type ModuleMetadata, Scope } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { ConfigurationError, ResilienceModule } from '@smartpulse/resilience';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type AcceptOutcome,
  CdcModule,
  CdcRegistry,
  type FeedEvent,
  OnFeedEvent,
  OnTableChange,
  type PoisonHandler,
  type RowChange,
  type TrackerTuning,
} from '../index.js';
import { LAB_TABLE, TrackerLab } from '../testing/index.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

@Injectable()
class Audit {
  readonly ids: unknown[] = [];
  readonly events: string[] = [];

  @OnTableChange(LAB_TABLE)
  on(changes: readonly RowChange[]): void {
    this.ids.push(...changes.map(({ primaryKey }) => primaryKey['id']));
  }

  @OnFeedEvent(LAB_TABLE)
  onEvent({ kind }: FeedEvent): void {
    this.events.push(kind);
  }
}

/** An app with these handlers, started. */
async function start(
  lab: TrackerLab,
  handlers: Pick<ModuleMetadata, 'providers' | 'controllers'>,
  tracker: TrackerTuning = {},
): Promise<TestingModule> {
  const { clock, random, source, checkpoints, leadership, pollSignal } = lab;
  const module = await Test.createTestingModule({
    imports: [
      ResilienceModule.forRoot({ clock, random }),
      CdcModule.forRoot({ source, checkpoints, leadership, pollSignal, tracker }),
    ],
    ...handlers,
  })
    .setLogger({ log: () => {}, warn: () => {}, error: () => {} })
    .compile();
  await module.init();
  return module;
}

const refusal = (handlers: Pick<ModuleMetadata, 'providers' | 'controllers'>) =>
  start(new TrackerLab(), handlers).then(
    () => undefined,
    (error: unknown) => error,
  );

describe('@OnTableChange methods', () => {
  it.each([
    ['useClass', { provide: 'audit', useClass: Audit }],
    ['useValue', { provide: 'audit', useValue: new Audit() }],
    ['useFactory', { provide: 'audit', useFactory: async () => new Audit() }],
  ])('are found in a provider given by %s, and named after its class', async (_, provider) => {
    const lab = new TrackerLab();
    lab.write(1, 2);
    const module = await start(lab, { providers: [provider] });
    const trackers = module.get(CdcRegistry).list();
    expect(trackers.map(({ consumer }) => consumer)).toEqual(['Audit.on']);
    await Promise.all(trackers.map((tracker) => lab.caughtUp(tracker)));

    const audit: Audit = module.get('audit');
    expect(audit.ids).toEqual([1, 2]);
    expect(audit.events).toContain('resyncCompleted');
    await module.close();
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('are one handler also where several tokens name the same object', async () => {
    const module = await start(new TrackerLab(), {
      providers: [
        Audit,
        { provide: 'alias', useExisting: Audit },
        { provide: 'made', inject: [Audit], useFactory: (audit: Audit) => audit },
      ],
    });
    expect(module.get(CdcRegistry).list()).toHaveLength(1);
    await module.close();
  });

  it('are not looked for in plain objects, functions and values without a class', async () => {
    const module = await start(new TrackerLab(), {
      providers: [
        { provide: 'object', useValue: { on: () => {} } },
        { provide: 'bare', useValue: Object.create(null) },
        { provide: 'text', useValue: 'text' },
        { provide: 'function', useValue: () => {} },
        { provide: 'nothing', useFactory: () => undefined },
      ],
    });
    expect(module.get(CdcRegistry).list()).toEqual([]);
    await module.close();
  });

  it('are refused in a class of which there are two objects, since they would share a position', async () => {
    const error = await refusal({ providers: [Audit, { provide: 'second', useClass: Audit }] });
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(String(error)).toMatch(/@OnTableChange on Audit\.on: option "consumer": "Audit\.on" follows "dbo\.stock"/);
  });

  it('are refused in a request-scoped class and with a wrong option, by class and method', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      @OnTableChange(LAB_TABLE)
      on(): void {}
    }
    @Controller()
    class Wrong {
      @OnTableChange('forecast', { pageSize: 0 })
      on(): void {}

      @Get()
      get(): void {}
    }

    expect(String(await refusal({ providers: [PerRequest] }))).toMatch(/PerRequest\.on.*request-scoped/);
    expect(String(await refusal({ controllers: [Wrong] }))).toMatch(
      /@OnTableChange on Wrong\.on: option "table".*schema\.name.*option "pageSize"/,
    );
  });

  it('tell what they call poison, and what they fail at, to onPoison: their own, or that of the module', async () => {
    const told: unknown[] = [];
    const tell =
      (who: string): PoisonHandler =>
      ({ table, primaryKey, version }, { message }, consumer) =>
        void told.push([who, consumer, table, primaryKey['id'], version.version, message]);

    @Injectable()
    class Both {
      @OnTableChange(LAB_TABLE, { batch: false, onPoison: tell('own') })
      refuses({ primaryKey }: RowChange): AcceptOutcome | undefined {
        return primaryKey['id'] === 2 ? { status: 'poison', error: new Error('unreadable') } : undefined;
      }

      @OnTableChange(LAB_TABLE, { maxAttempts: 2 })
      fails(changes: readonly RowChange[]): void {
        if (changes.some(({ primaryKey }) => primaryKey['id'] === 3)) {
          throw new Error('not that one');
        }
      }
    }
    const lab = new TrackerLab();
    lab.write(1, 2, 3, 4);
    const module = await start(lab, { providers: [Both] }, { onPoison: tell('module') });
    await Promise.all(
      module
        .get(CdcRegistry)
        .list()
        .map((tracker) => lab.caughtUp(tracker)),
    );

    expect(told).toHaveLength(2);
    expect(told).toContainEqual(['own', 'Both.refuses', LAB_TABLE, 2, 1n, 'unreadable']);
    expect(told).toContainEqual(['module', 'Both.fails', LAB_TABLE, 3, 1n, 'not that one']);
    await module.close();
  });

  it('are missed where only @OnFeedEvent names a table: its method would never be called', async () => {
    @Injectable()
    class Misspelt {
      @OnTableChange(LAB_TABLE)
      on(): void {}

      @OnFeedEvent('dbo.stok')
      onEvent(): void {}
    }
    expect(String(await refusal({ providers: [Misspelt] }))).toMatch(/@OnFeedEvent on Misspelt\.onEvent.*follows that/);
  });
});
