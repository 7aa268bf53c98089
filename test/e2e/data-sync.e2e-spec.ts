import { Injectable, Logger } from '@nestjs/common';
import { EmbeddedDatabase, embeddedCdc } from '@smartpulse/cdc/embedded';
import {
  type ChangeEnvelope,
  defineChange,
  defineOutbox,
  defineSync,
  encodeEnvelope,
  ENVELOPE_PROPERTIES,
  type FeedResync,
  type KeyChanges,
  OnChange,
  OnResync,
  OUTBOX_ID_PROPERTY,
  utcDay,
} from '@smartpulse/data-sync';
import { DataSyncHarness, type HarnessReplica, type ReplicaOptions } from '@smartpulse/data-sync/testing';
import {
  bytesCodec,
  Ctx,
  defineEvent,
  Payload,
  type PulsarContext,
  PulsarRegistry,
  PulsarSubscribe,
} from '@smartpulse/pulsar';
import { defineCache } from '@smartpulse/redis-cache';
import { SystemClock } from '@smartpulse/resilience';
import { DataSource, type EntityManager, EntitySchema, In } from 'typeorm';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';

interface Forecast {
  unitNo: number;
  deliveryStart: string;
  megawatt: string;
}
interface OutboxEntry {
  id?: number;
  event: string;
  key: string | null;
  payload: string;
  createdAt: string;
}

const ForecastEntity = new EntitySchema<Forecast>({
  name: 'forecast',
  columns: {
    unitNo: { type: 'integer', primary: true },
    deliveryStart: { type: 'text', primary: true },
    megawatt: { type: 'text' },
  },
});
const OutboxEntity = new EntitySchema<OutboxEntry>({
  name: 'outbox',
  columns: {
    id: { type: 'integer', primary: true, generated: 'increment' },
    event: { type: 'text' },
    key: { type: 'text', nullable: true },
    payload: { type: 'text' },
    createdAt: { type: 'text' },
  },
});

const forecastChange = defineChange({
  name: 'forecast',
  topic: 'forecast-changes',
  primaryKey: ['unitNo', 'deliveryStart'],
  schema: z.object({ unitNo: z.number(), deliveryStart: z.string(), megawatt: z.string() }),
  version: 1,
});
const forecastSync = defineSync(forecastChange, {
  table: 'dbo.forecast',
  cache: 'forecast',
  shape: 'aggregate',
  key: (pk) => `${pk.unitNo}/${utcDay(pk.deliveryStart)}`,
});
/** Lives far longer than any test: only the sync can make entries right. */
const forecastCache = defineCache<readonly string[]>({
  name: 'forecast',
  synced: true,
  l1TtlMs: 3_600_000,
  l2TtlMs: 3_600_000,
});
const computed = defineEvent({
  name: 'forecast-computed',
  topic: 'forecast-computed',
  schema: z.object({ unitNo: z.number() }),
  key: (event) => String(event.unitNo),
});
const outbox = defineOutbox({ table: 'dbo.outbox', events: [computed] });

const DAY = '2026-03-29';
const start = (quarter: number): string => new Date(Date.parse(`${DAY}T00:00:00Z`) + quarter * 900_000).toISOString();
const topic = (name: string): string => `persistent://public/default/${name}`;

describe('the flow from a commit to every replica', () => {
  let harness: DataSyncHarness;
  let database: EmbeddedDatabase;
  let writer: DataSource;
  let sources: DataSource[];

  beforeAll(() => Logger.overrideLogger(false));

  beforeEach(async () => {
    harness = new DataSyncHarness();
    database = EmbeddedDatabase.open({ name: 'forecasts', clock: new SystemClock() });
    sources = [];
    writer = await connect('writer', true);
    await database.enableTracking(['dbo.forecast', 'dbo.outbox']);
  });

  afterEach(async () => {
    await harness.close();
    await Promise.all(sources.map((source) => source.destroy()));
    await database.close();
  });

  async function connect(name: string, synchronize = false): Promise<DataSource> {
    const options = database.typeOrmOptions({ name, entities: [ForecastEntity, OutboxEntity], synchronize });
    const source = await new DataSource(options).initialize();
    sources.push(source);
    return source;
  }

  async function replica(
    name: string,
    options: Omit<ReplicaOptions, 'app' | 'cdc'> & { app?: string } = {},
  ): Promise<HarnessReplica> {
    return await harness.start({
      app: 'production-forecast',
      syncs: [forecastSync],
      caches: [forecastCache],
      ...options,
      cdc: { ...embeddedCdc(database, await connect(name)), tracker: { minIntervalMs: 20, maxIntervalMs: 200 } },
    });
  }

  const owner = (options: Omit<ReplicaOptions, 'app' | 'cdc'> = {}): Promise<HarnessReplica> =>
    replica('owner', { roles: ['publish', 'apply'], ...options });

  async function save(unitNo: number, quarters: number, megawatt: string): Promise<Forecast[]> {
    const rows = Array.from({ length: quarters }, (_, quarter) => ({
      unitNo,
      deliveryStart: start(quarter),
      megawatt,
    }));
    await writer.transaction((manager) => manager.getRepository(ForecastEntity).save(rows));
    return rows;
  }

  /** What a user gets: the day of a unit, from the nearest level. */
  async function read(from: HarnessReplica, unitNo: number): Promise<readonly string[]> {
    const cache = from.cache<readonly string[]>('forecast');
    const hit = await cache.getOrLoad(`${unitNo}/${DAY}`, () =>
      from.reader.read(async (manager: EntityManager) => {
        const rows = await manager.find(ForecastEntity, { where: { unitNo }, order: { deliveryStart: 'ASC' } });
        return rows.map(({ megawatt }) => megawatt);
      }),
    );
    return hit.value ?? [];
  }

  async function backplaneDrained(): Promise<void> {
    await eventually(() => harness.cacheServer.stats().pending === 0);
  }

  async function quiet(from: HarnessReplica): Promise<void> {
    await from.service.quiet({ timeoutMs: 20_000 });
    await backplaneDrained();
  }

  it('makes saved, corrected and deleted rows show on two replicas, none of which would reload by itself', async () => {
    const first = await owner();
    const second = await replica('second');
    const units = Array.from({ length: 20 }, (_, index) => index + 1);
    await Promise.all(units.map((unit) => save(unit, 24, '1.00')));
    await quiet(first);
    for (const unit of units) {
      expect(await read(first, unit)).toEqual(Array(24).fill('1.00'));
      expect(await read(second, unit)).toEqual(Array(24).fill('1.00'));
    }
    await Promise.all(units.slice(0, 10).map((unit) => save(unit, 24, '2.00')));
    await writer.getRepository(ForecastEntity).delete({ unitNo: In([20]) });
    await quiet(first);
    for (const unit of units) {
      const expected = unit === 20 ? [] : Array(24).fill(unit <= 10 ? '2.00' : '1.00');
      expect(await read(first, unit)).toEqual(expected);
      expect(await read(second, unit)).toEqual(expected);
    }
    const [sync] = first.dataSync.stats().syncs;
    expect(sync?.publish?.poison).toBe(0);
    expect(sync?.lag?.p99Ms).toBeGreaterThan(0);
  });

  it('reads its own write at once on the replica that wrote, before anything was published', async () => {
    const first = await replica('first');
    await save(1, 4, '1.00');
    expect(await read(first, 1)).toEqual(Array(4).fill('1.00'));
    const rows = await save(1, 4, '2.00');
    expect(await read(first, 1)).toEqual(Array(4).fill('1.00'));
    await first.dataSync.committed(forecastSync, rows);
    expect(await read(first, 1)).toEqual(Array(4).fill('2.00'));
  });

  it('shows the loss when nobody applies', async () => {
    const first = await owner({ roles: ['publish'] });
    await save(1, 4, '1.00');
    expect(await read(first, 1)).toEqual(Array(4).fill('1.00'));
    await save(1, 4, '2.00');
    await quiet(first);
    expect(await read(first, 1)).toEqual(Array(4).fill('1.00'));
  });

  it('shows the loss on a replica that has no backplane, and only there', async () => {
    const first = await owner();
    const deaf = await replica('deaf', { backplane: false });
    await save(1, 4, '1.00');
    await quiet(first);
    expect([await read(first, 1), await read(deaf, 1)]).toEqual([Array(4).fill('1.00'), Array(4).fill('1.00')]);
    await save(1, 4, '2.00');
    await quiet(first);
    expect(await read(first, 1)).toEqual(Array(4).fill('2.00'));
    expect(await read(deaf, 1)).toEqual(Array(4).fill('1.00'));
  });

  it('keeps the newer value when an older change arrives late, and creates nothing from a replay', async () => {
    const first = await owner();
    await save(1, 4, '1.00');
    await save(1, 4, '2.00');
    await quiet(first);
    expect(await read(first, 1)).toEqual(Array(4).fill('2.00'));
    const before = applied(first);
    await republish(first, 1n);
    await eventually(() => applied(first).delivered > before.delivered);
    expect(await first.cache('forecast').get(`1/${DAY}`)).toMatchObject({ level: 'l1' });
    expect(applied(first).stale).toBe(before.stale + 1);

    await first.cache('forecast').evict(`1/${DAY}`);
    await republish(first, 1n);
    await eventually(() => applied(first).delivered > before.delivered + 1);
    expect(await first.cache('forecast').get(`1/${DAY}`)).toBeUndefined();
    expect(applied(first).absent).toBe(before.absent + 1);
  });

  it('dead-letters a message that cannot be read and invalidates its key by the stamp beside it', async () => {
    const first = await owner();
    await save(1, 4, '1.00');
    await quiet(first);
    expect(await read(first, 1)).toEqual(Array(4).fill('1.00'));
    await save(2, 1, '1.00');
    await quiet(first);
    const { epoch, version } = database.currentVersion();
    await first.publisher.publish('forecast-changes', new TextEncoder().encode('{"not":"an envelope"}'), {
      codec: bytesCodec,
      key: `1/${DAY}`,
      properties: {
        [ENVELOPE_PROPERTIES.key]: `1/${DAY}`,
        [ENVELOPE_PROPERTIES.epoch]: epoch.toString(),
        [ENVELOPE_PROPERTIES.version]: version.toString(),
      },
    });
    await eventually(() => applied(first).deadLettered === 1);
    expect(harness.broker.stats(topic('forecast-changes-production-forecast-apply-DLQ')).messages).toBe(1);
    await eventually(async () => (await first.cache('forecast').get(`1/${DAY}`)) === undefined);
    expect(await read(first, 1)).toEqual(Array(4).fill('1.00'));
  });

  it('dead-letters a row that gives no key before the checkpoint moves, and goes on with the others', async () => {
    const first = await owner();
    await writer.getRepository(ForecastEntity).save([
      { unitNo: 1, deliveryStart: 'no instant', megawatt: '1.00' },
      { unitNo: 2, deliveryStart: start(0), megawatt: '1.00' },
    ]);
    await quiet(first);
    expect(first.dataSync.stats().syncs[0]?.publish).toMatchObject({ poison: 1, publishedEnvelopes: 1 });
    expect(harness.broker.stats(topic('forecast-changes-publish-DLQ')).messages).toBe(1);
  });

  it('shares the work among the replicas that apply, and is quiet when all of them are', async () => {
    const first = await owner();
    const second = await replica('second', { roles: ['apply'] });
    const units = Array.from({ length: 30 }, (_, index) => index + 1);
    await Promise.all(units.map((unit) => save(unit, 1, '1.00')));
    await quiet(first);
    await Promise.all(units.flatMap((unit) => [read(first, unit), read(second, unit)]));
    await Promise.all(units.map((unit) => save(unit, 1, '2.00')));
    await quiet(first);
    for (const unit of units) {
      expect([await read(first, unit), await read(second, unit)]).toEqual([['2.00'], ['2.00']]);
    }
    expect(applied(first).applied).toBeGreaterThan(0);
    expect(applied(second).applied).toBeGreaterThan(0);
    expect(applied(first).applied + applied(second).applied).toBe(30);
  });

  it('refuses a stamp that the database has not reached', async () => {
    const first = await owner();
    await save(1, 4, '1.00');
    await quiet(first);
    await read(first, 1);
    await republish(first, database.currentVersion().version + 1_000n);
    await eventually(() => applied(first).untrusted === 1 && applied(first).deadLettered === 1);
    expect(await read(first, 1)).toEqual(Array(4).fill('1.00'));
    await save(1, 4, '2.00');
    await quiet(first);
    expect(await read(first, 1)).toEqual(Array(4).fill('2.00'));
  });

  it('loses nothing that is committed while no writer runs', async () => {
    const second = await replica('second');
    const first = await owner();
    await save(1, 4, '1.00');
    await quiet(first);
    expect(await read(second, 1)).toEqual(Array(4).fill('1.00'));
    await first.close();
    await save(1, 4, '2.00');
    expect(await read(second, 1)).toEqual(Array(4).fill('1.00'));
    const again = await replica('again', { roles: ['publish', 'apply'] });
    await quiet(again);
    expect(await read(second, 1)).toEqual(Array(4).fill('2.00'));
  });

  it('reads a truncated table anew and forgets what is gone', async () => {
    const seen = new Notes();
    const first = await owner({ providers: [{ provide: Listener, useValue: new Listener(seen) }] });
    await save(1, 4, '1.00');
    await quiet(first);
    expect(await read(first, 1)).toEqual(Array(4).fill('1.00'));
    seen.resyncs.length = 0;
    await database.truncate('dbo.forecast');
    await save(2, 1, '3.00');
    await eventually(() => seen.resyncs.length === 2);
    await quiet(first);
    expect(await read(first, 1)).toEqual([]);
    expect(await read(first, 2)).toEqual(['3.00']);
    expect(seen.resyncs.map(({ state, reason }) => [state, reason])).toEqual([
      ['started', 'tableTruncated'],
      ['completed', 'tableTruncated'],
    ]);
  });

  describe('leaves no replica a row that is gone and comes in no change', () => {
    const units = Array.from({ length: 8 }, (_, index) => index + 1);

    async function filled(replicas: readonly HarnessReplica[], value: string): Promise<void> {
      await Promise.all(units.map((unit) => save(unit, 2, value)));
      const [publishes] = replicas;
      if (publishes !== undefined) {
        await quiet(publishes);
      }
      await shows(replicas, Array(2).fill(value));
    }

    async function shows(replicas: readonly HarnessReplica[], expected: readonly string[]): Promise<void> {
      for (const unit of units) {
        for (const each of replicas) {
          expect(await read(each, unit)).toEqual(expected);
        }
      }
    }

    const swept = (replicas: readonly HarnessReplica[]): number =>
      replicas.reduce((sum, each) => sum + applied(each).swept, 0);

    it('after a truncate that another replica than the one that saw the changes applies', async () => {
      const first = await owner();
      const reader = await replica('reader');
      await filled([first, reader], '1.00');
      // From here on this one takes no part: what it knew of the keys helps nobody.
      const late = await replica('late', { roles: ['apply'] });
      const subscription = 'production-forecast-apply';
      const mine = first.app
        .get(PulsarRegistry)
        .list()
        .find((consumer) => consumer.subscription === subscription);
      await mine?.close();
      await database.truncate('dbo.forecast');
      await eventually(() => swept([late]) > 0);
      await backplaneDrained();
      await shows([first, reader, late], []);
      expect(swept([first])).toBe(0);
    });

    it('after a truncate while the applier was down, also of a load that was under way', async () => {
      const first = await owner();
      const reader = await replica('reader');
      await filled([first, reader], '1.00');
      await first.close();
      await save(99, 1, '7.00');
      let finish = (): void => {};
      const held = new Promise<void>((resolve) => {
        finish = resolve;
      });
      let runs = 0;
      const cache = reader.cache<readonly string[]>('forecast');
      const early = cache.getOrLoad(`99/${DAY}`, () =>
        reader.reader
          .read(async (manager: EntityManager) => {
            const rows = await manager.find(ForecastEntity, { where: { unitNo: 99 } });
            return rows.map(({ megawatt }) => megawatt);
          })
          .then(async (loaded) => {
            await (runs++ === 0 ? held : undefined);
            return loaded;
          }),
      );
      await eventually(() => cache.stats().loads > 0);
      await new SystemClock().sleep(20);
      await database.truncate('dbo.forecast');
      const again = await replica('again', { roles: ['publish', 'apply'] });
      await eventually(() => swept([again]) > 0);
      await quiet(again);
      finish();
      expect((await early).value).toEqual([]);
      await shows([reader, again], []);
      expect(await read(again, 99)).toEqual([]);
    });

    it('after a delete whose change was cleaned up before anybody read it', async () => {
      const first = await owner();
      const reader = await replica('reader');
      await filled([first, reader], '1.00');
      await first.close();
      await writer.getRepository(ForecastEntity).delete({ unitNo: In(units) });
      await save(99, 1, '7.00');
      await database.cleanUp({ retentionMs: 0 });
      const again = await replica('again', { roles: ['publish', 'apply'] });
      await quiet(again);
      await shows([reader, again], []);
      expect(swept([again])).toBeGreaterThan(0);
    });

    it('after tracking was ended and begun again', async () => {
      const first = await owner();
      const reader = await replica('reader');
      await filled([first, reader], '1.00');
      await first.close();
      await database.disableTracking(['dbo.forecast']);
      await writer.getRepository(ForecastEntity).delete({ unitNo: In(units) });
      await database.enableTracking(['dbo.forecast']);
      const again = await replica('again', { roles: ['publish', 'apply'] });
      await eventually(() => swept([again]) > 0);
      await quiet(again);
      await shows([reader, again], []);
    });
  });

  it('calls a handler once per app and change, in the order of each key, and every replica where asked', async () => {
    const shared = new Notes();
    const each = [new Notes(), new Notes()];
    const consumers = await Promise.all(
      each.map((notes, index) =>
        replica(`notifier-${index}`, {
          app: 'notifier',
          syncs: [],
          caches: [],
          providers: [
            { provide: Listener, useValue: new Listener(shared) },
            { provide: EveryReplicaListener, useValue: new EveryReplicaListener(notes) },
          ],
        }),
      ),
    );
    const first = await owner();
    for (let round = 1; round <= 5; round++) {
      await Promise.all(Array.from({ length: 8 }, (_, index) => save(index + 1, 2, `${round}.00`)));
      await quiet(first);
    }
    const complete = (notes: Notes): boolean =>
      notes.last.size === 16 && [...notes.last.values()].every((value) => value === '5.00');
    await eventually(() => [shared, ...each].every(complete));
    expect(shared.backwards).toBe(0);
    const versions = shared.seen.map(({ pk, version }) => `${pk} ${version}`);
    expect(new Set(versions).size).toBe(versions.length);
    expect(consumers.map(({ dataSync }) => dataSync.stats().handlers.length)).toEqual([2, 2]);
  });

  it('publishes what a transaction puts into the outbox, once it is committed and only then', async () => {
    const mails = new Mails();
    await replica('mailer', {
      app: 'mailer',
      syncs: [],
      caches: [],
      providers: [{ provide: MailListener, useValue: new MailListener(mails) }],
    });
    const first = await owner({ outbox });
    const event = (unitNo: number) => ({ ...outbox.row(computed, { unitNo }), createdAt: start(0) });
    await writer.transaction(async (manager) => {
      await manager.getRepository(ForecastEntity).save({ unitNo: 1, deliveryStart: start(0), megawatt: '1.00' });
      await manager.getRepository(OutboxEntity).insert([event(1), event(1), event(1)]);
    });
    await writer
      .transaction(async (manager) => {
        await manager.getRepository(OutboxEntity).insert(event(99));
        throw new Error('changed my mind');
      })
      .catch((error: unknown) => expect(error).toMatchObject({ message: 'changed my mind' }));
    await quiet(first);
    await eventually(() => mails.ids.length === 3);
    expect(mails.ids).toEqual(['1', '2', '3']);
    expect(mails.units).toEqual([1, 1, 1]);
    expect(first.dataSync.stats().outboxes).toMatchObject([{ table: 'dbo.outbox', relayed: 3, poison: 0 }]);
  });

  /** Sends an envelope for unit 1 again, as a broker or an operator might, under a stamp of choice. */
  async function republish(through: HarnessReplica, version: bigint): Promise<void> {
    const { epoch } = database.currentVersion();
    const pk = { unitNo: 1, deliveryStart: start(0) };
    const envelope: ChangeEnvelope = {
      format: 1,
      kind: 'change',
      schemaVersion: 1,
      source: 'forecasts',
      table: 'dbo.forecast',
      key: `1/${DAY}`,
      epoch: epoch.toString(),
      version: version.toString(),
      changes: [{ pk, op: 'upsert', version: version.toString(), columns: null, row: { ...pk, megawatt: '9.99' } }],
      keysOnly: false,
      fence: '0',
      seq: '1',
      prevSeq: null,
      origin: null,
      committedAt: null,
      resync: null,
    };
    await through.publisher.publish('forecast-changes', encodeEnvelope(envelope), {
      codec: bytesCodec,
      key: `1/${DAY}`,
      properties: {
        [ENVELOPE_PROPERTIES.key]: `1/${DAY}`,
        [ENVELOPE_PROPERTIES.epoch]: envelope.epoch,
        [ENVELOPE_PROPERTIES.version]: envelope.version,
      },
    });
  }
});

/** What handlers saw. */
class Notes {
  readonly seen: { readonly pk: string; readonly version: bigint }[] = [];
  readonly last = new Map<string, string>();
  readonly resyncs: FeedResync[] = [];
  backwards = 0;
  readonly #highest = new Map<string, bigint>();

  add({ changes }: KeyChanges<Forecast>): void {
    for (const { pk, version, row } of changes) {
      const name = JSON.stringify(pk);
      this.backwards += version.version < (this.#highest.get(name) ?? 0n) ? 1 : 0;
      this.#highest.set(name, version.version);
      this.seen.push({ pk: name, version: version.version });
      this.last.set(name, row?.megawatt ?? 'gone');
    }
  }
}

@Injectable()
class Listener {
  constructor(private readonly notes: Notes) {}

  @OnChange(forecastChange, { subscription: 'notes', concurrency: 4 })
  async handle(changes: KeyChanges<Forecast>): Promise<void> {
    await Promise.resolve();
    this.notes.add(changes);
  }

  @OnResync(forecastChange, { subscription: 'notes' })
  resynced(event: FeedResync): void {
    this.notes.resyncs.push(event);
  }
}

@Injectable()
class EveryReplicaListener {
  constructor(private readonly notes: Notes) {}

  @OnChange(forecastChange, { subscription: 'view', everyReplica: true, snapshots: true })
  handle(changes: KeyChanges<Forecast>): void {
    this.notes.add(changes);
  }
}

class Mails {
  readonly ids: (string | undefined)[] = [];
  readonly units: number[] = [];
}

@Injectable()
class MailListener {
  constructor(private readonly mails: Mails) {}

  @PulsarSubscribe({ topic: computed, subscription: 'mailer', initialPosition: 'earliest' })
  mail(@Payload() event: { unitNo: number }, @Ctx() context: PulsarContext): void {
    this.mails.ids.push(context.properties[OUTBOX_ID_PROPERTY]);
    this.mails.units.push(event.unitNo);
  }
}

function applied(replica: HarnessReplica) {
  const apply = replica.dataSync.stats().syncs[0]?.apply;
  if (apply === undefined) {
    throw new Error('The replica does not apply.');
  }
  return apply;
}

async function eventually(condition: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const clock = new SystemClock();
  const deadlineMs = clock.monotonic() + withinMs;
  while (!(await condition())) {
    if (clock.monotonic() > deadlineMs) {
      throw new Error(`Not within ${withinMs} ms: ${condition.toString()}`);
    }
    await clock.sleep(5);
  }
}
