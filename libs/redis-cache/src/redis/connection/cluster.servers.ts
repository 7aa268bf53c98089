import { Logger } from '@nestjs/common';
import type { Timer } from '@smartpulse/resilience';
import type { Redis } from 'ioredis';
import { connectWithin } from './connect-within.js';
import { type ClusterMaster, readRedirection, readSlots, slotOf } from './cluster-slots.js';
import {
  dataOptions,
  type KeyHolder,
  type Lane,
  loadScripts,
  RedisServers,
  type ScanStep,
  type ServersContext,
  subscriberOptions,
} from './redis.servers.js';
import type { ClusterAccess, RedisTarget } from './redis.target.js';
import type { RedisAddress } from './redis-url.js';
import { NotConnectedError, ServerConnection } from './server-connection.js';
import { generationKey, lifeOf } from './server-generation.js';
import { SharedRun } from './shared-run.js';

interface Master {
  readonly id: string;
  readonly address: RedisAddress;
  readonly connection: ServerConnection;
  life: string | undefined;
}

const MAX_REDIRECTIONS = 5;
const REPAIR_MS = 250;
const BEGINNING = '0';

/**
 * The masters of a cluster, each with a connection of its own that nobody asks by before its life is settled. Commands are led to the slot of their key here, not
 * by the client: it would follow a slot to another server in the middle of a command.
 */
export class ClusterServers extends RedisServers {
  readonly hasSlots = true;
  readonly subscriber: ServerConnection;
  readonly #logger = new Logger('RedisCacheModule');
  readonly #target: Extract<RedisTarget, { kind: 'cluster' }>;
  readonly #context: ServersContext;
  readonly #refreshing = new SharedRun(() => this.#refresh());
  readonly #confirming = new SharedRun(() => this.#confirm());
  #access: ClusterAccess | undefined;
  /** By the id of the node. */
  #masters: ReadonlyMap<string, Master> = new Map();
  /** By slot. */
  #owners: (Master | undefined)[] = [];
  #repair: Timer | undefined;
  #closed = false;

  constructor(target: Extract<RedisTarget, { kind: 'cluster' }>, context: ServersContext) {
    super();
    this.#target = target;
    this.#context = context;
    const { clock, random, connectTimeoutMs: timeoutMs, onSubscriber } = context;
    this.subscriber = new ServerConnection({
      name: 'messages',
      timeoutMs,
      clock,
      random,
      open: () => this.#openSubscriber(),
      prepare: async (redis) => onSubscriber(redis),
      onChange: () => this.#changed(),
    });
  }

  override get whole(): boolean {
    const masters = [...this.#masters.values()];
    return (
      masters.length > 0 &&
      masters.every(({ connection }) => connection.up !== undefined) &&
      this.subscriber.up !== undefined
    );
  }

  override get lanes(): readonly Lane[] {
    return [...this.#masters.values()].flatMap(({ id, connection: { up } }) =>
      up === undefined ? [] : [{ name: laneName(id), redis: up }],
    );
  }

  override async start(): Promise<void> {
    this.#access = await this.#target.reach();
    await this.#refreshing.run();
    const attempts = await Promise.allSettled([
      ...[...this.#masters.values()].map(({ connection }) => connection.whenUp()),
      this.subscriber.start(),
    ]);
    this.#changed();
    const failed = attempts.find((attempt) => attempt.status === 'rejected');
    // One shard may be down: what the others hold can be used, and the generation is known.
    if (failed !== undefined && (this.#context.generation.current === 0 || this.subscriber.up === undefined)) {
      throw failed.reason;
    }
  }

  override async run<T>(key: string, command: (redis: Redis) => Promise<T>): Promise<T> {
    const settling = this.#settling();
    if (settling !== undefined) {
      await settling;
    }
    return this.send(key, command);
  }

  override async send<T>(key: string, command: (redis: Redis) => Promise<T>): Promise<T> {
    const slot = slotOf(key);
    let master = this.#owners[slot];
    let asks = false;
    for (let redirections = 0; ; redirections++) {
      if (master === undefined) {
        throw new NotConnectedError();
      }
      const redis = master.connection.up ?? (redirections > 0 ? await master.connection.whenUp() : undefined);
      if (redis === undefined) {
        throw new NotConnectedError();
      }
      try {
        return await (asks ? asked(redis, command) : command(redis));
      } catch (error) {
        const to = readRedirection(error, master.address);
        if (to === undefined || redirections === MAX_REDIRECTIONS) {
          throw error;
        }
        asks = to.kind === 'ask';
        master = await this.#follow(to, slot, asks);
      }
    }
  }

  override laneOf(key: string): string {
    return laneName(this.#owners[slotOf(key)]?.id ?? '');
  }

  override holderOf(key: string): KeyHolder {
    return this.#holderAt(this.#owners[slotOf(key)]?.address);
  }

  override async redirected(
    error: Error,
    key: string,
    { address }: KeyHolder,
  ): Promise<{ readonly holder: KeyHolder; readonly asks: boolean } | undefined> {
    const to = address === undefined ? undefined : readRedirection(error, address);
    if (to === undefined || to.slot !== slotOf(key)) {
      return undefined;
    }
    const asks = to.kind === 'ask';
    return { holder: this.#holderAt((await this.#follow(to, to.slot, asks))?.address), asks };
  }

  /**
   * All masters, twice: a key that moves from one that was not walked over to one that was is met in the second round.
   *
   * @param cursor `round/node/its own cursor`.
   */
  override async scan(cursor: string, pattern: string, count: number): Promise<ScanStep> {
    const [round = '', from = '', position = BEGINNING] = cursor === BEGINNING ? ['1', ''] : cursor.split('/');
    const masters = [...this.#masters.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
    const master = masters.find(({ id }) => id >= from);
    if (master === undefined && masters.length > 0) {
      return { cursor: round === '1' ? '2/' : BEGINNING, keys: [] };
    }
    const redis = master?.connection.up;
    if (master === undefined || redis === undefined) {
      throw new NotConnectedError();
    }
    const [next, keys] = await redis.scan(master.id === from ? position : BEGINNING, 'MATCH', pattern, 'COUNT', count);
    // `~` follows all that an id is made of.
    return { cursor: next === BEGINNING ? `${round}/${master.id}~` : `${round}/${master.id}/${next}`, keys };
  }

  override async look(): Promise<void> {
    await this.#refreshing.run();
    await Promise.all(
      [...this.#masters.values()].map(async (master) => {
        const redis = master.connection.up;
        if (redis !== undefined) {
          await this.#meet(master, redis);
        }
      }),
    );
  }

  override async time(): Promise<readonly [string, string]> {
    const keeper = await this.#keeper().connection.whenUp();
    const [seconds, micros] = await keeper.time();
    return [String(seconds), String(micros)];
  }

  override async close(): Promise<void> {
    this.#closed = true;
    this.#repair?.cancel();
    await Promise.all([
      this.subscriber.close(),
      ...[...this.#masters.values()].map(({ connection }) => connection.close()),
    ]);
  }

  #holderAt(address: RedisAddress | undefined): KeyHolder {
    if (address === undefined) {
      throw new NotConnectedError();
    }
    const access = this.#reached();
    return { address, open: (own) => access.open(address, own) };
  }

  /** Where a node sent us. What it says of a slot is taken up at once, the rest of the map follows. */
  async #follow({ host, port }: RedisAddress, slot: number, once: boolean): Promise<Master | undefined> {
    const { host: toHost, port: toPort } = this.#reached().translate({ host, port });
    const known = [...this.#masters.values()].find(({ address }) => address.host === toHost && address.port === toPort);
    if (known === undefined) {
      await this.#refreshing.run();
      return this.#owners[slot];
    }
    if (!once) {
      this.#owners[slot] = known;
      this.#refreshing.run().catch((error: unknown) => this.#complain(error));
    }
    return known;
  }

  async #refresh(): Promise<void> {
    const masters = await this.#askAround();
    if (this.#closed) {
      return;
    }
    const before = this.#masters;
    const after = new Map<string, Master>();
    const owners: (Master | undefined)[] = [];
    for (const found of masters) {
      const address = this.#reached().translate({ host: found.host, port: found.port });
      const known = before.get(found.id);
      const stays = known?.address.host === address.host && known.address.port === address.port;
      const master = known !== undefined && stays ? known : this.#meetNew(found.id, address);
      after.set(found.id, master);
      for (const [first, last] of found.ranges) {
        owners.length = Math.max(owners.length, last + 1);
        owners.fill(master, first, last + 1);
      }
    }
    this.#masters = after;
    this.#owners = owners;
    for (const master of after.values()) {
      if (before.get(master.id) !== master) {
        master.connection.start().catch((error: unknown) => this.#complain(error));
      }
    }
    for (const master of before.values()) {
      if (after.get(master.id) !== master) {
        // It holds nothing any more; what it was sent is still answered.
        master.connection.close().catch((error: unknown) => this.#complain(error));
      }
    }
    this.#changed();
  }

  /** The map, as the first tells it who can be asked: masters in a random order, then where everything began. */
  async #askAround(): Promise<readonly ClusterMaster[]> {
    const { random } = this.#context;
    const masters = [...this.#masters.values()].map((master) => ({ master, at: random.next() }));
    let failure: unknown = new NotConnectedError();
    for (const { master } of masters.sort((one, other) => one.at - other.at)) {
      const redis = master.connection.up;
      if (redis !== undefined) {
        try {
          return readSlots(await redis.cluster('SLOTS'), master.address);
        } catch (error) {
          failure = error;
        }
      }
    }
    for (const seed of [...this.#reached().seeds, ...masters.map(({ master }) => master.address)]) {
      try {
        return await this.#askSeed(seed);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #askSeed(seed: RedisAddress): Promise<readonly ClusterMaster[]> {
    const { clock, connectTimeoutMs } = this.#context;
    const redis = this.#reached().open(seed, { connectTimeout: connectTimeoutMs });
    try {
      return await connectWithin(redis, clock, connectTimeoutMs, async () =>
        readSlots(await redis.cluster('SLOTS'), seed),
      );
    } finally {
      redis.disconnect();
    }
  }

  #meetNew(id: string, address: RedisAddress): Master {
    const { clock, random, connectTimeoutMs: timeoutMs } = this.#context;
    const master: Master = {
      id,
      address,
      life: undefined,
      connection: new ServerConnection({
        name: `data of ${address.host}:${address.port}`,
        timeoutMs,
        clock,
        random,
        // No pipelines of the client's own making: what follows ASKING has to follow it.
        open: () => this.#reached().open(address, { ...dataOptions(this.#context), enableAutoPipelining: false }),
        prepare: async (redis) => {
          await loadScripts(redis);
          await this.#meet(master, redis);
        },
        onChange: () => this.#changed(),
      }),
    };
    return master;
  }

  /** Takes up the generation that the lives of all masters lead to, this one's among them. */
  async #meet(master: Master, redis: Redis): Promise<void> {
    const { generation, clock } = this.#context;
    master.life = await lifeOf(redis);
    const keeper = this.#keeper();
    const keeping = keeper === master ? redis : await keeper.connection.whenUp();
    do {
      await generation.settle(keeping, this.#lives());
      // Others may begin another one meanwhile, which has a fence of its own.
      while (generation.fencedMs > 0) {
        await clock.sleep(generation.fencedMs, undefined, { unref: true });
      }
    } while (!(await generation.confirm(keeping)));
  }

  /** Who keeps the generation of them all. */
  #keeper(): Master {
    const keeper = this.#owners[slotOf(generationKey(this.#context.prefix))];
    if (keeper === undefined) {
      throw new NotConnectedError();
    }
    return keeper;
  }

  /** What is waited for before keys may be asked for; nothing where the generation was confirmed a moment ago. */
  #settling(): Promise<void> | undefined {
    const { state } = this.#context.generation;
    if (state === 'due') {
      this.#confirming.run().catch((error: unknown) => this.#complain(error));
    }
    return state === 'usable' || state === 'due' ? undefined : this.#settled();
  }

  async #settled(): Promise<void> {
    const { generation } = this.#context;
    if (generation.state === 'unconfirmed') {
      await this.#confirming.run();
    }
    if (generation.state === 'fenced' || generation.state === 'unconfirmed') {
      throw new NotConnectedError();
    }
  }

  async #confirm(): Promise<void> {
    const { generation } = this.#context;
    const keeper = this.#keeper();
    const redis = keeper.connection.up;
    if (redis === undefined) {
      throw new NotConnectedError();
    }
    try {
      if (!(await generation.confirm(redis))) {
        await generation.settle(redis, this.#lives());
      }
    } catch (error) {
      if (readRedirection(error, keeper.address) !== undefined) {
        await this.#refreshing.run();
      }
      throw error;
    }
  }

  #lives(): readonly string[] {
    return [...this.#masters.values()].flatMap(({ life }) => (life === undefined ? [] : [life]));
  }

  /** Any node brings what is published on all of them. */
  #openSubscriber(): Redis {
    const masters = [...this.#masters.values()];
    const up = masters.filter(({ connection }) => connection.up !== undefined);
    const access = this.#reached();
    const addresses =
      up.length > 0 ? up.map(({ address }) => address) : [...masters.map((one) => one.address), ...access.seeds];
    const address = addresses[this.#context.random.int(addresses.length)];
    if (address === undefined) {
      throw new NotConnectedError();
    }
    return access.open(address, subscriberOptions(this.#context));
  }

  /** While anything is missing, the map is asked for again and again: another one may have taken over. */
  #changed(): void {
    this.#context.onChange();
    if (this.#closed || this.whole || this.#repair !== undefined) {
      return;
    }
    const { clock, random } = this.#context;
    this.#repair = clock.setTimer(
      REPAIR_MS * (0.5 + random.next()),
      () => {
        const again = (): void => {
          this.#repair = undefined;
          this.#changed();
        };
        this.#refreshing.run().then(again, (error: unknown) => {
          this.#complain(error);
          again();
        });
      },
      { unref: true },
    );
  }

  #reached(): ClusterAccess {
    if (this.#access === undefined) {
      throw new NotConnectedError();
    }
    return this.#access;
  }

  #complain(error: unknown): void {
    this.#logger.debug(`The cluster does not answer (${String(error)}).`);
  }
}

/** Both are written one after the other, so nothing comes between them. */
async function asked<T>(redis: Redis, command: (redis: Redis) => Promise<T>): Promise<T> {
  const [, reply] = await Promise.all([redis.asking(), command(redis)]);
  return reply;
}

function laneName(id: string): string {
  return id.slice(0, 8);
}
