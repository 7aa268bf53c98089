import { mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { logFileFor, runFolder } from '../process/cache-folder.js';
import { freePorts } from '../process/free-ports.js';
import { type ServerProcess } from '../process/server-process.js';
import { PulsarAdmin } from './admin.js';
import { bookieProperties, brokerProperties, writeProperties, type BrokerFeatures } from './configuration.js';
import { launch, type PulsarCommand } from './launch.js';
import { type PulsarRuntime } from './runtime.js';

/** How to start a cluster. Authentication and TLS are left to the standalone. */
export interface ClusterOptions extends Omit<BrokerFeatures, 'authentication' | 'tls'> {
  /** After how long without a sign of life a broker's topics go to the other one. @defaultValue 4_000 */
  readonly sessionTimeoutMs?: number | undefined;
  /** Heap of each broker in MiB, and as much again for buffers outside it, at most. @defaultValue 256 */
  readonly memoryMiB?: number | undefined;
}

const CLUSTER = 'cluster';
const READY_TIMEOUT_MS = 120_000;
const SMALL_MIB = 128;

/** One broker of a cluster; killed, frozen and brought back on its own. */
export class ClusterBroker {
  readonly serviceUrl: string;
  readonly adminUrl: string;
  /** `host:port` of the web service: how bundles are given to this broker. */
  readonly id: string;
  /** The admin API as this broker answers it. */
  readonly admin: PulsarAdmin;
  readonly #start: () => ServerProcess;
  #process: ServerProcess;

  constructor(ports: { readonly binary: number; readonly http: number }, start: () => ServerProcess) {
    this.serviceUrl = `pulsar://127.0.0.1:${ports.binary}`;
    this.id = `127.0.0.1:${ports.http}`;
    this.adminUrl = `http://${this.id}`;
    this.admin = new PulsarAdmin(this.adminUrl, CLUSTER);
    this.#start = start;
    this.#process = start();
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Resolves when the broker is healthy and finds the owners of topics. */
  async whenReady(): Promise<void> {
    await this.#process.whenReady(
      async () => (await this.admin.isHealthy()) && (await this.admin.answersLookups()),
      READY_TIMEOUT_MS,
    );
  }

  /** Ends the broker without warning; its topics go to the other one when its session has timed out. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  /** Starts a killed broker again; resolves when it is ready. It owns nothing at first. */
  async restart(): Promise<void> {
    if (this.#process.running) {
      throw new Error('This broker runs: kill() it first');
    }
    this.#process = this.#start();
    await this.whenReady();
  }

  /** Freezes the broker with its connections open. */
  async pause(): Promise<void> {
    await this.#process.freeze();
  }

  /** Wakes a frozen broker. */
  async resume(): Promise<void> {
    await this.#process.signal('SIGCONT');
  }
}

/** A real cluster on 127.0.0.1: one ZooKeeper, one bookie, two brokers. */
export class PulsarCluster implements AsyncDisposable {
  readonly #folder: string;
  readonly #servers: readonly ServerProcess[];
  readonly brokers: readonly [ClusterBroker, ClusterBroker];

  private constructor(folder: string, servers: readonly ServerProcess[], brokers: [ClusterBroker, ClusterBroker]) {
    this.#folder = folder;
    this.#servers = servers;
    this.brokers = brokers;
  }

  /** Starts everything and resolves when both brokers are ready. */
  static async start(runtime: PulsarRuntime, options: ClusterOptions = {}): Promise<PulsarCluster> {
    const folder = runFolder('pulsar-cluster');
    const [zooKeeperPort = 0, bookiePort = 0, ...brokerPorts] = await freePorts(6);
    const [binary0 = 0, http0 = 0, binary1 = 0, http1 = 0] = brokerPorts;
    const both = [
      { binary: binary0, http: http0 },
      { binary: binary1, http: http1 },
    ] as const;
    const zooKeeper = `127.0.0.1:${zooKeeperPort}`;
    const servers: ServerProcess[] = [];
    const brokers: ClusterBroker[] = [];
    const server = (command: Parts): ServerProcess => {
      const started = part(runtime, folder, command);
      servers.push(started);
      return started;
    };
    try {
      const keeper = server(zooKeeperParts(folder, zooKeeperPort));
      await keeper.whenReady(async () => accepts(zooKeeperPort), READY_TIMEOUT_MS);

      const setup = server(metadataParts(zooKeeper, both));
      const end = await setup.ended;
      if (end !== 'exit code 0') {
        throw new Error(`The metadata of the cluster could not be written (${end}). ${setup.logTail()}`);
      }

      const bookie = server(bookieParts(folder, zooKeeper, bookiePort, options));
      await bookie.whenReady(async () => accepts(bookiePort), READY_TIMEOUT_MS);

      const startBroker = (index: 0 | 1): ClusterBroker => {
        const command = brokerParts(folder, `broker-${index}`, zooKeeper, both[index], options);
        const broker = new ClusterBroker(both[index], () => part(runtime, folder, command));
        brokers.push(broker);
        return broker;
      };
      const cluster = new PulsarCluster(folder, servers, [startBroker(0), startBroker(1)]);
      await Promise.all(brokers.map(async (broker) => broker.whenReady()));
      return cluster;
    } catch (error) {
      await stopAll(folder, brokers, servers);
      throw error;
    }
  }

  /** `pulsar://127.0.0.1:…,127.0.0.1:…`: both brokers. */
  get serviceUrl(): string {
    return `pulsar://${this.brokers.map(({ serviceUrl }) => new URL(serviceUrl).host).join(',')}`;
  }

  /** The process ids of everything that runs, for measuring. */
  get pids(): readonly number[] {
    const pids = [...this.#servers.filter(({ running }) => running), ...this.brokers].map(({ pid }) => pid);
    return pids.filter((pid) => pid !== undefined);
  }

  /** The broker that owns a topic (`tenant/namespace/topic`) by what the given one says; one takes it when none does. */
  async ownerOf(topic: string, asked: ClusterBroker = this.brokers[0]): Promise<ClusterBroker> {
    const url = await asked.admin.ownerOf(topic);
    const owner = this.brokers.find(({ serviceUrl }) => serviceUrl === url);
    if (owner === undefined) {
      throw new Error(`${topic} is owned by ${url}, which is no broker of this cluster`);
    }
    return owner;
  }

  /** Gives the bundle of a topic, with the topics that share it, to a broker. */
  async move(topic: string, to: ClusterBroker): Promise<void> {
    const owner = await this.ownerOf(topic, to);
    const bundle = await owner.admin.bundleOf(topic);
    const namespace = topic.split('/').slice(0, 2).join('/');
    await owner.admin.unloadBundle(namespace, bundle, to.id);
  }

  /** Ends everything at once and removes the data; the logs stay in the cache folder. */
  async stop(): Promise<void> {
    await stopAll(this.#folder, this.brokers, this.#servers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

type Parts = Pick<PulsarCommand, 'name' | 'mainClass' | 'args' | 'memoryMiB'>;
type Ports = { readonly binary: number; readonly http: number };

function part(runtime: PulsarRuntime, folder: string, command: Parts): ServerProcess {
  const name = `pulsar-${command.name}`;
  return launch(runtime, { ...command, name, folder, logFile: logFileFor(name) });
}

function zooKeeperParts(folder: string, port: number): Parts {
  const configuration = writeProperties(folder, 'zookeeper.conf', {
    dataDir: join(folder, 'zookeeper'),
    clientPort: port,
    clientPortAddress: '127.0.0.1',
    'admin.enableServer': false,
    // Sessions time out after two ticks at the earliest.
    tickTime: 500,
  });
  const mainClass = 'org.apache.zookeeper.server.ZooKeeperServerMain';
  return { name: 'zookeeper', mainClass, args: [configuration], memoryMiB: SMALL_MIB };
}

function metadataParts(zooKeeper: string, brokers: readonly Ports[]): Parts {
  const store = `zk:${zooKeeper}`;
  const list = (scheme: string, port: (ports: Ports) => number): string =>
    `${scheme}://${brokers.map((ports) => `127.0.0.1:${port(ports)}`).join(',')}`;
  return {
    name: 'metadata',
    mainClass: 'org.apache.pulsar.PulsarClusterMetadataSetup',
    args: Object.entries({
      '--cluster': CLUSTER,
      '--metadata-store': store,
      '--configuration-metadata-store': store,
      '--web-service-url': list('http', ({ http }) => http),
      '--broker-service-url': list('pulsar', ({ binary }) => binary),
    }).flat(),
    memoryMiB: SMALL_MIB,
  };
}

function bookieParts(folder: string, zooKeeper: string, port: number, options: ClusterOptions): Parts {
  const data = join(folder, 'bookie');
  mkdirSync(data);
  const configuration = writeProperties(folder, 'bookie.conf', {
    metadataServiceUri: `zk+hierarchical://${zooKeeper}/ledgers`,
    bookiePort: port,
    listeningInterface: 'lo',
    allowLoopback: true,
    advertisedAddress: '127.0.0.1',
    journalDirectories: join(data, 'journal'),
    ledgerDirectories: join(data, 'ledgers'),
    ...bookieProperties(options),
  });
  const mainClass = 'org.apache.bookkeeper.server.Main';
  return { name: 'bookie', mainClass, args: ['--conf', configuration], memoryMiB: SMALL_MIB };
}

function brokerParts(folder: string, name: string, zooKeeper: string, ports: Ports, options: ClusterOptions): Parts {
  const { properties } = brokerProperties(folder, { ...ports, binaryTls: 0, httpTls: 0 }, options);
  const configuration = writeProperties(folder, `${name}.conf`, {
    clusterName: CLUSTER,
    metadataStoreUrl: `zk:${zooKeeper}`,
    configurationMetadataStoreUrl: `zk:${zooKeeper}`,
    metadataStoreSessionTimeoutMillis: options.sessionTimeoutMs ?? 4_000,
    loadManagerClassName: 'org.apache.pulsar.broker.loadbalance.extensions.ExtensibleLoadManagerImpl',
    ...properties,
  });
  const mainClass = 'org.apache.pulsar.PulsarBrokerStarter';
  return { name, mainClass, args: ['-c', configuration], memoryMiB: options.memoryMiB ?? 256 };
}

/** Brokers first: those without a bookie and ZooKeeper only fill their logs. */
async function stopAll(
  folder: string,
  brokers: readonly ClusterBroker[],
  servers: readonly ServerProcess[],
): Promise<void> {
  await Promise.all(brokers.map(async (broker) => broker.kill()));
  await Promise.all(servers.map(async (server) => server.kill()));
  rmSync(folder, { recursive: true, force: true });
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}
