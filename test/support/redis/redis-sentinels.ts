import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { logFileFor, runFolder } from '../process/cache-folder.js';
import { freePorts } from '../process/free-ports.js';
import { ServerProcess } from '../process/server-process.js';
import { answersPing, RedisServer } from './redis-server.js';

/** How the set is started. */
export interface RedisSentinelsOptions {
  /** Replicas of the master. Default 2. */
  readonly replicas?: number | undefined;
  /** Outlives this process. Default `false`. */
  readonly detached?: boolean | undefined;
  /** For the data of all; it exists. Default: one that goes with the run, for each. */
  readonly folder?: string | undefined;
  /** The first for the master, then the replicas, then the sentinels, where they are free. Default: any free ones. */
  readonly preferredPorts?: readonly number[] | undefined;
}

const SENTINELS = 3;
const READY_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

/** One sentinel: the same binary as the server, with a configuration file that it writes to itself. */
class Sentinel {
  readonly port: number;
  readonly #process: ServerProcess;

  constructor(port: number, masterPort: number, { detached, folder: parent }: RedisSentinelsOptions) {
    this.port = port;
    const folder = folderIn(parent, `sentinel-${port}`);
    const file = join(folder, 'sentinel.conf');
    const master = RedisSentinels.MASTER;
    writeFileSync(
      file,
      [
        `port ${port}`,
        'bind 127.0.0.1',
        'set-proc-title no',
        `dir ${folder}`,
        `sentinel monitor ${master} 127.0.0.1 ${masterPort} 2`,
        `sentinel down-after-milliseconds ${master} 1000`,
        `sentinel failover-timeout ${master} 5000`,
        '',
      ].join('\n'),
    );
    this.#process = ServerProcess.start({
      name: `sentinel on port ${port}`,
      command: 'redis-server',
      args: [file, '--sentinel'],
      folder,
      logFile: logFileFor('redis-sentinel'),
      detached,
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  ready(): Promise<void> {
    return this.#process.whenReady(() => answersPing(this.port), READY_TIMEOUT_MS);
  }

  stop(): Promise<void> {
    return this.#process.stop({ graceMs: 2_000 });
  }
}

/** A master with replicas, and three sentinels that watch them, on free ports of loopback. */
export class RedisSentinels {
  static readonly MASTER = 'main';
  readonly #servers: readonly RedisServer[];
  readonly #sentinels: readonly Sentinel[];

  private constructor(servers: readonly RedisServer[], sentinels: readonly Sentinel[]) {
    this.#servers = servers;
    this.#sentinels = sentinels;
  }

  /** Resolves when every sentinel knows the others and the replicas. */
  static async start(options: RedisSentinelsOptions = {}): Promise<RedisSentinels> {
    const { replicas = 2, detached, folder, preferredPorts = [] } = options;
    const server = (place: number, replicaOf?: RedisServer): Promise<RedisServer> =>
      RedisServer.start({
        detached,
        preferredPort: preferredPorts[place],
        folder: folder === undefined ? undefined : folderIn(folder, `server-${place}`),
        options: {
          'repl-diskless-sync-delay': '0',
          ...(replicaOf === undefined ? {} : { replicaof: ['127.0.0.1', String(replicaOf.port)] }),
        },
      });
    const master = await server(0);
    const others = await Promise.all(Array.from({ length: replicas }, (_, place) => server(place + 1, master)));
    const ports = preferredPorts.slice(replicas + 1);
    const sentinels = (ports.length === SENTINELS ? ports : await freePorts(SENTINELS)).map(
      (port) => new Sentinel(port, master.port, options),
    );
    const set = new RedisSentinels([master, ...others], sentinels);
    try {
      await Promise.all(sentinels.map((sentinel) => sentinel.ready()));
      await Promise.all(sentinels.map(({ port }) => set.#settled(port, replicas)));
    } catch (error) {
      await set.stop();
      throw error;
    }
    return set;
  }

  /** Where clients find it. */
  get url(): string {
    const hosts = this.#sentinels.map(({ port }) => `127.0.0.1:${port}`);
    return `redis+sentinel://${hosts.join(',')}/${RedisSentinels.MASTER}`;
  }

  /** The master alone, as long as it is the master. */
  get masterUrl(): string {
    return this.#servers[0]?.url ?? '';
  }

  /** A client as an app would make it. */
  client(): Redis {
    return new Redis({
      sentinels: this.#sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
      name: RedisSentinels.MASTER,
    });
  }

  get pids(): readonly number[] {
    return [...this.#sentinels, ...this.#servers].flatMap(({ pid }) => pid ?? []);
  }

  /** The server that the sentinels name now. */
  async master(): Promise<RedisServer> {
    const [sentinel] = this.#sentinels;
    const port = await asked(sentinel?.port ?? 0, async (redis) => {
      const address: unknown = await redis.call('SENTINEL', 'get-master-addr-by-name', RedisSentinels.MASTER);
      return Array.isArray(address) ? Number(address[1]) : 0;
    });
    const server = this.#servers.find((one) => one.port === port);
    if (server === undefined) {
      throw new Error(`The sentinels name a master on port ${port}, which is none of ours.`);
    }
    return server;
  }

  /** Those that are not the master now. */
  async replicas(): Promise<readonly RedisServer[]> {
    const master = await this.master();
    return this.#servers.filter((one) => one !== master);
  }

  /** Replicas that follow the master at this moment, as the master sees it. */
  async replicasInSync(): Promise<number> {
    const { port } = await this.master();
    return asked(port, async (redis) => {
      const info = await redis.info('replication');
      return [...info.matchAll(/^slave\d+:.*state=online/gm)].length;
    });
  }

  /** Has a replica take over while the master runs. */
  async failover(): Promise<void> {
    await asked(this.#sentinels[0]?.port ?? 0, (redis) => redis.call('SENTINEL', 'FAILOVER', RedisSentinels.MASTER));
  }

  /** Asks the server that the sentinels name now. */
  async ask<T>(question: (redis: Redis) => Promise<T>): Promise<T> {
    return asked((await this.master()).port, question);
  }

  /** What is acknowledged from now on reaches no replica, so that a failover loses it. */
  async breakReplication(): Promise<void> {
    for (const { port } of await this.replicas()) {
      await asked(port, async (redis) => {
        // The master asks for no password, and refuses who gives one.
        await redis.config('SET', 'masterauth', 'nobody');
        await redis.call('CLIENT', 'KILL', 'TYPE', 'master');
      });
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#sentinels, ...this.#servers].map((one) => one.stop()));
  }

  async #settled(port: number, replicas: number): Promise<void> {
    for (const deadline = performance.now() + READY_TIMEOUT_MS; ; await sleep(POLL_MS)) {
      const known = await asked(port, async (redis) => {
        const state = pairs(await redis.call('SENTINEL', 'master', RedisSentinels.MASTER));
        return (
          Number(state.get('num-slaves')) === replicas && Number(state.get('num-other-sentinels')) === SENTINELS - 1
        );
      });
      if (known) {
        return;
      }
      if (performance.now() > deadline) {
        throw new Error(`The sentinel on port ${port} does not know the others after ${READY_TIMEOUT_MS} ms.`);
      }
    }
  }
}

function folderIn(parent: string | undefined, name: string): string {
  if (parent === undefined) {
    return runFolder(name);
  }
  const folder = join(parent, name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

function pairs(reply: unknown): ReadonlyMap<string, string> {
  const words = Array.isArray(reply) ? reply.map(String) : [];
  return new Map(words.flatMap((word, at) => (at % 2 === 0 ? [[word, words[at + 1] ?? '']] : [])));
}

async function asked<T>(port: number, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ host: '127.0.0.1', port, retryStrategy: null });
  redis.on('error', () => {});
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}
