import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  CdcRegistry,
  type ChangePage,
  ChangeSource,
  type ChangeTracker,
  type Checkpoint,
  type CheckpointKey,
  CheckpointStore,
  type ChunkRequest,
  InProcessPollSignal,
  type Lease,
  Leadership,
  type PageRequest,
  type SaveOutcome,
  type SourceState,
  type TableChunk,
  type TableDescription,
} from '@smartpulse/cdc';
import { InMemoryChangeSource, InMemoryCheckpointStore, InProcessLeadership } from '@smartpulse/cdc/testing';
import { defineOutbox, OUTBOX_ID_PROPERTY, OutboxRelay } from '@smartpulse/data-sync';
import { defineEvent, type IncomingMessage, PulsarModule, PulsarPublisher } from '@smartpulse/pulsar';
import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import { FaultInjectingTransport, injectedFault } from '@smartpulse/pulsar/testing';
import { ResilienceModule } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { z } from 'zod';

const TABLE = 'dbo.outbox';
const TOPICS = ['persistent://public/default/moves', 'persistent://public/default/mails'];
const moved = defineEvent({
  name: 'moved',
  topic: 'moves',
  schema: z.object({ unit: z.string(), step: z.number() }),
  key: ({ unit }) => unit,
});
const mailed = defineEvent({ name: 'mailed', topic: 'mails', schema: z.object({ step: z.number() }) });
const outbox = defineOutbox({ table: TABLE, events: [moved, mailed] });

/** What happens to a relay at one step of its way. */
export type Trouble =
  /** The process dies before the step, or after it and before anybody knows. */
  | 'dies'
  /** The step fails, once. */
  | 'fails';

/** When what befalls a relay: the steps are counted over all its lives. */
export type TroublePlan = (step: number, name: string) => Trouble | undefined;

/** What came of it. */
export interface OutboxOutcome {
  /** Rows that were committed and never published. */
  readonly lost: readonly number[];
  /** Messages that no committed row asked for. */
  readonly invented: readonly string[];
  /** Keys whose events first came in another order than they were committed in. */
  readonly disordered: readonly string[];
  readonly duplicates: number;
  /** The steps of the way, in their order. */
  readonly steps: readonly string[];
  readonly lives: number;
}

interface Life {
  readonly app: INestApplicationContext;
  readonly tracker: ChangeTracker;
  dead: boolean;
}

/** An outbox table, a broker, and a relay between them that dies and comes back. */
export class OutboxHistory {
  readonly clock = new VirtualClock();
  readonly random = new SeededRandom();
  readonly steps: string[] = [];
  readonly source = new InMemoryChangeSource('db', [
    { table: TABLE, primaryKey: ['id'], columns: ['id', 'event', 'key', 'payload'] },
  ]);
  readonly store = new InMemoryCheckpointStore();
  readonly leadership = new InProcessLeadership();
  readonly #broker = new InProcessBroker({ clock: this.clock, random: this.random });
  readonly #pollSignal = new InProcessPollSignal();
  readonly #committed: { readonly id: number; readonly key: string | null }[] = [];
  readonly #apps: INestApplicationContext[] = [];
  #life: Life | undefined;
  #lives = 0;

  constructor(
    private readonly plan: TroublePlan,
    private readonly pageSize: number,
  ) {}

  /** Plays transactions of keys (`null`: an event without one), the first half of which the relay finds when it first starts. */
  async play(transactions: readonly (readonly (string | null)[])[]): Promise<OutboxOutcome> {
    for (const [index, keys] of transactions.entries()) {
      if (index === Math.floor(transactions.length / 2)) {
        await this.#born();
        await this.#advance();
      }
      this.#commit(keys);
      await this.#advance();
    }
    for (let turn = 0; turn < 10_000 && !(await this.#caughtUp()); turn++) {
      await this.#advance();
    }
    const outcome = await this.#outcome();
    await this.#life?.tracker.stop();
    return outcome;
  }

  /** Before a step, and where `after` says so, after it: whether it goes on. */
  step(life: Life, name: string): Error | undefined {
    if (life.dead) {
      return new Error('The process is dead.');
    }
    const trouble = this.plan(this.steps.length, name);
    this.steps.push(name);
    if (trouble === 'dies') {
      life.dead = true;
      void life.tracker.stop(AbortSignal.abort());
      this.leadership.revoke();
      return new Error('The process is dead.');
    }
    return trouble === 'fails' ? injectedFault(name) : undefined;
  }

  async #advance(): Promise<void> {
    if (this.#life === undefined || !this.#life.dead) {
      await this.clock.advance(50);
    } else {
      await this.#born();
    }
  }

  #commit(keys: readonly (string | null)[]): void {
    this.source.commit((tx) => {
      for (const key of keys) {
        const id = this.#committed.length + 1;
        this.#committed.push({ id, key });
        const row = key === null ? outbox.row(mailed, { step: id }) : outbox.row(moved, { unit: key, step: id });
        tx.upsert(TABLE, { id, ...row });
      }
    });
  }

  async #born(): Promise<void> {
    const { clock, random } = this;
    const transport = new FaultInjectingTransport(new InProcessTransport(this.#broker));
    class RelayModule {}
    Module({
      imports: [
        ResilienceModule.forRoot({ clock, random }),
        PulsarModule.forRoot({ url: 'memory://', transport, producer: { batching: false } }),
      ],
    })(RelayModule);
    const app = await NestFactory.createApplicationContext(RelayModule, { logger: false, abortOnError: false });
    this.#apps.push(app);
    this.#lives++;
    // The ports ask for the life that they belong to when they are called, which is after it is there.
    const here: { life?: Life } = {};
    const step = async (name: string): Promise<void> => {
      const error = here.life === undefined ? undefined : this.step(here.life, name);
      if (error !== undefined) {
        throw error;
      }
    };
    const registry = new CdcRegistry({
      source: new SteppedSource(this.source, step),
      checkpoints: new SteppedStore(this.store, step),
      leadership: new SteppedLeadership(this.leadership, () => here.life?.dead ?? false),
      pollSignal: this.#pollSignal,
      clock,
      random,
    });
    const tracker = registry.track({
      consumer: 'outbox',
      table: TABLE,
      sink: new OutboxRelay(outbox, app.get(PulsarPublisher), transport),
      pageSize: this.pageSize,
      chunkSize: this.pageSize,
      minIntervalMs: 20,
      maxIntervalMs: 40,
      errorBackoff: { initialMs: 10, multiplier: 2, maxMs: 50, jitter: 'none' },
      leaseRetry: { initialMs: 10, multiplier: 1, maxMs: 10, jitter: 'none' },
    });
    const life: Life = { app, tracker, dead: false };
    here.life = life;
    this.#life = life;
    transport.plan = ({ point }) => this.step(life, point);
    tracker.start();
  }

  async #caughtUp(): Promise<boolean> {
    const checkpoint = await this.store.load({ consumer: 'outbox', source: 'db', table: TABLE });
    return (
      this.#life?.dead === false &&
      checkpoint?.phase.kind === 'streaming' &&
      checkpoint.phase.version === this.source.version &&
      checkpoint.phase.cursor === null
    );
  }

  async #outcome(): Promise<OutboxOutcome> {
    const messages = await this.#messages();
    const ids = messages.map(({ properties }) => Number(properties[OUTBOX_ID_PROPERTY]));
    const seen = new Set(ids);
    const keys = new Set(this.#committed.map(({ key }) => key).filter((key) => key !== null));
    const firsts = [...seen];
    const ofKey = new Map(this.#committed.map(({ id, key }) => [id, key]));
    return {
      lost: this.#committed.map(({ id }) => id).filter((id) => !seen.has(id)),
      invented: messages
        .filter(({ properties }) => !ofKey.has(Number(properties[OUTBOX_ID_PROPERTY])))
        .map(({ topic }) => topic),
      disordered: [...keys].filter((key) => {
        const came = firsts.filter((id) => ofKey.get(id) === key);
        return came.some((id, index) => index > 0 && id < (came[index - 1] ?? 0));
      }),
      duplicates: ids.length - seen.size,
      steps: this.steps,
      lives: this.#lives,
    };
  }

  /** Everything that the broker has stored, topic by topic. */
  async #messages(): Promise<IncomingMessage[]> {
    const transport = new InProcessTransport(this.#broker);
    await transport.connect();
    const messages: IncomingMessage[] = [];
    for (const topic of TOPICS) {
      const consumer = await transport.subscribe(
        { topic, subscription: 'reader', type: 'Exclusive', initialPosition: 'earliest', durable: false },
        { onMessage: (message) => void messages.push(message), onClosed: () => undefined },
      );
      consumer.permit(100_000);
      await this.clock.settle();
      await consumer.close();
    }
    return messages;
  }
}

type Step = (name: string) => Promise<void>;

class SteppedSource extends ChangeSource {
  override readonly name = 'db';

  constructor(
    private readonly source: InMemoryChangeSource,
    private readonly step: Step,
  ) {
    super();
  }

  override describe(table: string): Promise<TableDescription> {
    return this.#ask('describe', () => this.source.describe(table));
  }

  override state(tables: readonly string[]): Promise<SourceState> {
    return this.#ask('state', () => this.source.state(tables));
  }

  override readPage(request: PageRequest): Promise<ChangePage> {
    return this.#ask('page', () => this.source.readPage(request));
  }

  override readChunk(request: ChunkRequest): Promise<TableChunk> {
    return this.#ask('chunk', () => this.source.readChunk(request));
  }

  override async close(): Promise<void> {}

  async #ask<T>(name: string, read: () => Promise<T>): Promise<T> {
    await this.step(name);
    const answer = await read();
    await this.step(`${name} read`);
    return answer;
  }
}

class SteppedStore extends CheckpointStore {
  override readonly durable = true;

  constructor(
    private readonly store: InMemoryCheckpointStore,
    private readonly step: Step,
  ) {
    super();
  }

  override async load(key: CheckpointKey): Promise<Checkpoint | undefined> {
    await this.step('load');
    return this.store.load(key);
  }

  override async save(checkpoint: Checkpoint, fence: bigint): Promise<SaveOutcome> {
    await this.step('save');
    const outcome = await this.store.save(checkpoint, fence);
    await this.step('saved');
    return outcome;
  }
}

/** A process that died gets no lease any more. */
class SteppedLeadership extends Leadership {
  constructor(
    private readonly leadership: InProcessLeadership,
    private readonly isDead: () => boolean,
  ) {
    super();
  }

  override async acquire(resource: string): Promise<Lease | undefined> {
    return this.isDead() ? undefined : this.leadership.acquire(resource);
  }
}
