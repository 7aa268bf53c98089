import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import { freePorts } from '../process/free-ports.js';
import { RedisServer } from './redis-server.js';

/** How the cluster is started. */
export interface RedisClusterOptions {
  /** Masters, which have an equal share of the slots each. Default 3. */
  readonly masters?: number | undefined;
  /** Replicas of the first master. Default 0. */
  readonly replicas?: number | undefined;
}

const SLOTS = 16_384;
/** Nodes that hear nothing of one another for half of that make new connections, and lose what is on the old ones: longer than a busy machine sleeps. */
const NODE_TIMEOUT_MS = 2_000;
const READY_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

/** One node of a {@link RedisCluster}, and a client that asks it alone. */
export interface ClusterNode {
  readonly server: RedisServer;
  readonly redis: Redis;
  readonly id: string;
}

/** A cluster on free ports of loopback. */
export class RedisCluster {
  readonly #nodes: readonly ClusterNode[];
  readonly #masters: number;

  private constructor(nodes: readonly ClusterNode[], masters: number) {
    this.#nodes = nodes;
    this.#masters = masters;
  }

  /** Resolves when every node says that the cluster is complete. */
  static async start({ masters = 3, replicas = 0 }: RedisClusterOptions = {}): Promise<RedisCluster> {
    const nodes = await Promise.all(Array.from({ length: masters + replicas }, () => startNode()));
    const cluster = new RedisCluster(nodes, masters);
    try {
      await cluster.#join();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** Where clients find it: by two of its nodes. */
  get url(): string {
    return `redis+cluster://${this.#nodes
      .slice(0, 2)
      .map(({ server }) => `127.0.0.1:${server.port}`)
      .join(',')}`;
  }

  /** A client as an app would make it. */
  client(): Cluster {
    return new Cluster(this.#nodes.map(({ server }) => ({ host: '127.0.0.1', port: server.port })));
  }

  /** Those that were started as masters. */
  get masters(): readonly ClusterNode[] {
    return this.#nodes.slice(0, this.#masters);
  }

  /** Clients of their own for all masters, which the caller closes. */
  masterClients(): readonly Redis[] {
    return this.masters.map(({ server }) => new Redis({ host: '127.0.0.1', port: server.port }));
  }

  /** Removes every key but the generations: their end would be an event of its own. */
  async empty(): Promise<void> {
    for (const { redis } of this.masters) {
      for (const key of await redis.keys('*')) {
        if (!key.includes(':!gen}')) {
          await redis.del(key);
        }
      }
    }
  }

  /** The node that holds the slot of a key, as the first node that is there sees it. */
  async ownerOf(key: string): Promise<ClusterNode> {
    const witness = await this.#witness();
    const slot = await witness.redis.cluster('KEYSLOT', key);
    const slots = await witness.redis.cluster('SLOTS');
    const id = slots.find(([first, last]) => first <= slot && slot <= last)?.[2]?.[2];
    const owner = this.#nodes.find((node) => node.id === id);
    if (owner === undefined) {
      throw new Error(`Nobody holds the slot ${slot}.`);
    }
    return owner;
  }

  /** The node that a client which hears a channel is connected to. */
  async hearerOf(channel: string): Promise<ClusterNode> {
    for (const node of this.#nodes) {
      const [, count] = await node.redis.pubsub('NUMSUB', channel);
      if (Number(count) > 0) {
        return node;
      }
    }
    throw new Error(`Nobody hears ${channel}.`);
  }

  /** The replica of the first master, when it was started with one. */
  get replica(): ClusterNode | undefined {
    return this.#nodes[this.#masters];
  }

  /** What the first master acknowledges from now on does not reach its replica, so that a failover loses it. */
  async breakReplication(): Promise<void> {
    // The master asks for no password, and refuses who gives one.
    await this.replica?.redis.config('SET', 'masterauth', 'nobody');
    await this.replica?.redis.call('CLIENT', 'KILL', 'TYPE', 'master');
  }

  /** Moves the slot of a key to another node, key by key, while everything goes on. `halfway` is called between the keys. */
  async moveSlot(key: string, to: ClusterNode, halfway?: () => Promise<void>): Promise<void> {
    const from = await this.ownerOf(key);
    const slot = await from.redis.cluster('KEYSLOT', key);
    await to.redis.cluster('SETSLOT', slot, 'IMPORTING', from.id);
    await from.redis.cluster('SETSLOT', slot, 'MIGRATING', to.id);
    for (;;) {
      const keys = (await from.redis.cluster('GETKEYSINSLOT', slot, 1)) as readonly string[];
      const [moving] = keys;
      if (moving === undefined) {
        break;
      }
      await from.redis.migrate('127.0.0.1', to.server.port, moving, 0, 5_000);
      await halfway?.();
    }
    for (const node of [to, from, ...this.masters.filter((one) => one !== to && one !== from)]) {
      await node.redis.cluster('SETSLOT', slot, 'NODE', to.id);
    }
  }

  /** Resolves when every node that is there says that the cluster is complete. */
  async whenComplete(): Promise<void> {
    for (const deadline = performance.now() + READY_TIMEOUT_MS; ; await sleep(POLL_MS)) {
      const states = await Promise.all(this.#nodes.map(({ redis }) => this.#isComplete(redis)));
      if (states.every(Boolean)) {
        return;
      }
      if (performance.now() > deadline) {
        throw new Error(`The cluster is not complete after ${READY_TIMEOUT_MS} ms.`);
      }
    }
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#nodes.map(async ({ server, redis }) => {
        redis.disconnect();
        await server.stop();
      }),
    );
  }

  async #join(): Promise<void> {
    const masters = this.#masters;
    const [first] = this.#nodes;
    if (first === undefined) {
      throw new Error('A cluster has a node at least.');
    }
    const share = Math.ceil(SLOTS / masters);
    for (const [at, { redis }] of this.#nodes.entries()) {
      await redis.cluster('SET-CONFIG-EPOCH', at + 1);
      if (at < masters) {
        await redis.call('CLUSTER', 'ADDSLOTSRANGE', at * share, Math.min(SLOTS, (at + 1) * share) - 1);
      }
      await redis.call('CLUSTER', 'MEET', '127.0.0.1', first.server.port, await busPort(first.redis));
    }
    await this.whenComplete();
    for (const { redis } of this.#nodes.slice(masters)) {
      await redis.cluster('REPLICATE', first.id);
      await until(async () => /master_link_status:up/.test(await redis.info('replication')), 'a replica is connected');
    }
    const replicas = this.#nodes.length - masters;
    await until(async () => {
      const slots = await first.redis.cluster('SLOTS');
      return slots.reduce((sum, slot) => sum + slot.length - 3, 0) === replicas;
    }, 'the replicas are known');
  }

  async #isComplete(redis: Redis): Promise<boolean> {
    try {
      const info = await redis.cluster('INFO');
      const links = String(await redis.cluster('NODES'))
        .split('\n')
        .filter((line) => / connected(?: |$)/.test(line));
      return info.includes('cluster_state:ok') && links.length === this.#nodes.length;
    } catch (error) {
      if (redis.status === 'ready') {
        throw error;
      }
      return false;
    }
  }

  async #witness(): Promise<ClusterNode> {
    for (const node of this.#nodes) {
      if (node.redis.status === 'ready' && (await this.#isComplete(node.redis))) {
        return node;
      }
    }
    throw new Error('No node says that the cluster is complete.');
  }
}

async function startNode(): Promise<ClusterNode> {
  const [bus = 0] = await freePorts(1);
  const server = await RedisServer.start({
    options: {
      'cluster-enabled': 'yes',
      'cluster-config-file': 'nodes.conf',
      'cluster-node-timeout': String(NODE_TIMEOUT_MS),
      'cluster-port': String(bus),
      'cluster-replica-validity-factor': '0',
      'repl-diskless-sync-delay': '0',
    },
  });
  const redis = new Redis({ host: '127.0.0.1', port: server.port, retryStrategy: () => 50, maxRetriesPerRequest: 0 });
  redis.on('error', () => {});
  return { server, redis, id: await redis.cluster('MYID') };
}

async function busPort(redis: Redis): Promise<string> {
  const [, value = ''] = (await redis.config('GET', 'cluster-port')) as readonly string[];
  return value;
}

async function until(happened: () => Promise<boolean>, what: string): Promise<void> {
  for (const deadline = performance.now() + READY_TIMEOUT_MS; !(await happened()); await sleep(POLL_MS)) {
    if (performance.now() > deadline) {
      throw new Error(`It took longer than ${READY_TIMEOUT_MS} ms until ${what}.`);
    }
  }
}
