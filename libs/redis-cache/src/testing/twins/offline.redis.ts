import { createHash } from 'node:crypto';
import type { Clock } from '@smartpulse/resilience';
import { type Command, Redis } from 'ioredis';
import { SCRIPTS } from '../../redis/entries/commands.js';

const EVICT = createHash('sha1').update(SCRIPTS.smartpulseEvict).digest('hex');

/** What may happen to a command before the server sees it: it waits, or it fails. */
export type CommandWeather = (name: string, parameters: readonly string[]) => Promise<void> | void;

/** As much of a Redis as connections, generations and messages need, without a network: texts, INFO, TIME, publish and subscribe, the step that settles a generation, and evictions. */
export class OfflineServer {
  role: 'master' | 'slave' = 'master';
  /** How far its clock is before the one that it was given. */
  aheadMs = 0;
  weather: CommandWeather = () => {};
  /** A message that does not come through. */
  loses: (text: string) => boolean = () => false;
  /** What was published, in order, also what nobody heard. */
  readonly published: string[] = [];
  readonly #clients = new Map<OfflineRedis, Set<string>>();

  constructor(
    /** Its life: its id, and that of its replication. */
    public life: string,
    private readonly clock: Clock,
    readonly texts: Map<string, string> = new Map(),
  ) {}

  /** Another one that holds what this one holds now, and nothing that comes later. */
  copy(life: string): OfflineServer {
    return new OfflineServer(life, this.clock, new Map(this.texts));
  }

  /** Every connection to it ends. */
  dropAll(): void {
    [...this.#clients.keys()].forEach((client) => client.disconnect());
  }

  meet(client: OfflineRedis): void {
    this.#clients.set(client, new Set());
  }

  leave(client: OfflineRedis): void {
    this.#clients.delete(client);
  }

  publish(channel: string, text: string): number {
    this.published.push(text);
    const listening = [...this.#clients].filter(([, channels]) => channels.has(channel) && !this.loses(text));
    listening.forEach(([client]) => client.emit('message', channel, text));
    return listening.length;
  }

  async answer(client: OfflineRedis, name: string, parameters: readonly string[]): Promise<unknown> {
    await this.weather(name, parameters);
    const channels = this.#clients.get(client);
    if (channels === undefined) {
      throw new Error('Connection is closed.');
    }
    const [first = '', second = ''] = parameters;
    switch (name) {
      case 'info':
        return first === 'server' ? `run_id:${this.life}\r\n` : `role:${this.role}\r\nmaster_replid:${this.life}\r\n`;
      case 'script':
        return 'OK';
      case 'time':
        return this.#time();
      case 'eval':
        return this.#settle(parameters.slice(2));
      case 'evalsha':
        return this.#evict(first, parameters.slice(2));
      case 'get':
        return this.texts.get(first) ?? null;
      case 'mget':
        return parameters.map((key) => this.texts.get(key) ?? null);
      case 'publish':
        return this.publish(first, second);
      case 'subscribe':
        return channels.add(first).size;
      case 'unsubscribe':
        channels.delete(first);
        return channels.size;
      default:
        throw new Error(`This server does not know "${name}".`);
    }
  }

  #time(): readonly [string, string] {
    const micros = BigInt(Math.round((this.clock.now() + this.aheadMs) * 1_000));
    return [String(micros / 1_000_000n), String(micros % 1_000_000n)];
  }

  /** As the script of a generation does it, without fences. */
  #settle([generation = '', , ...rest]: readonly string[]): readonly [number, number] {
    const [marks, [, mine = '0']] = [rest.slice(0, -3), rest.slice(-3)];
    let known = Number(this.texts.get(generation) ?? 0);
    const isNew = marks.filter((mark) => !this.texts.has(mark)).length > 0 || known === 0 || known < Number(mine);
    marks.forEach((mark) => this.texts.set(mark, '1'));
    if (isNew) {
      known = Math.max(known + 1, Number(mine) + 1, (this.clock.now() + this.aheadMs) * 1_000);
      this.texts.set(generation, String(known));
    }
    return [known, 0];
  }

  #evict(digest: string, [key = '', channel = '', head = '']: readonly string[]): number {
    if (digest !== EVICT) {
      throw new Error('This server evicts only.');
    }
    this.texts.delete(key);
    this.publish(channel, `${head} evict - ${key}`);
    return 1;
  }
}

/** A client that reaches the server that is there when it connects, if one is. */
export class OfflineRedis extends Redis {
  #server: OfflineServer | undefined;

  constructor(private readonly reaches: () => OfflineServer | undefined) {
    super({ lazyConnect: true, enableOfflineQueue: false, retryStrategy: null });
  }

  override duplicate(): OfflineRedis {
    return new OfflineRedis(this.reaches);
  }

  override async connect(): Promise<void> {
    this.#server = this.reaches();
    if (this.#server === undefined) {
      throw new Error('Nobody is there.');
    }
    this.status = 'ready';
    this.#server.meet(this);
  }

  override sendCommand(command: Command): unknown {
    const server = this.status === 'ready' ? this.#server : undefined;
    if (server === undefined) {
      command.reject(new Error('Connection is closed.'));
    } else {
      // What is answered after the end is lost with the connection.
      server.answer(this, command.name, command.args.map(String)).then(
        (reply) =>
          this.status === 'ready' ? command.resolve(reply) : command.reject(new Error('Connection is closed.')),
        (error: unknown) => command.reject(error instanceof Error ? error : new Error(String(error))),
      );
    }
    return command.promise;
  }

  override async quit(): Promise<'OK'> {
    return 'OK';
  }

  override disconnect(): void {
    if (this.status !== 'end') {
      this.status = 'end';
      this.#server?.leave(this);
      this.emit('close');
    }
  }
}
