import { type AddressInfo, connect } from 'node:net';
import { Agent, get } from 'node:http';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  type INestApplication,
  type INestApplicationContext,
  Module,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  Global,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ConfigurationError } from '../resilience.errors.js';
import { ResilienceModule } from '../resilience.module.js';
import { VirtualClock } from '../testing/virtual.clock.js';
import { enableGracefulShutdown, type GracefulShutdownOptions } from './graceful-shutdown.js';
import { SHUTDOWN_PHASES } from './shutdown-task.js';
import { ShutdownCoordinator } from './shutdown.coordinator.js';

/** Collects what happens, with whether the server still listened. */
class Journal {
  readonly lines: string[] = [];
  isListening = (): boolean => false;
  note(line: string): void {
    this.lines.push(this.isListening() ? line : `${line} (http closed)`);
  }
}

/** Ends its connection in a hook of its own, as TypeORM's global module does. */
@Injectable()
class Database implements OnApplicationShutdown, OnModuleDestroy {
  open = true;
  constructor(@Inject(Journal) private readonly journal: Journal) {}
  onModuleDestroy(): void {
    this.journal.note('hook onModuleDestroy');
  }
  onApplicationShutdown(): void {
    this.open = false;
    this.journal.note('database closed');
  }
}

@Global()
@Module({ providers: [Journal, Database], exports: [Journal, Database] })
class DatabaseModule {}

@Controller()
class SlowController {
  readonly waiting: (() => void)[] = [];
  @Get('slow')
  async slow(): Promise<string> {
    await new Promise<void>((resolve) => this.waiting.push(resolve));
    return 'done';
  }
  @Get('fast')
  fast(): string {
    return 'fast';
  }
}

@Injectable()
class Parts {
  constructor(
    @Inject(ShutdownCoordinator) coordinator: ShutdownCoordinator,
    @Inject(Journal) journal: Journal,
    @Inject(Database) database: Database,
  ) {
    for (const phase of SHUTDOWN_PHASES) {
      coordinator.register({
        name: phase,
        phase,
        stop: () => journal.note(phase === 'work' ? `work, database ${database.open ? 'open' : 'closed'}` : phase),
      });
    }
  }
}

const clock = new VirtualClock();

@Module({
  imports: [ResilienceModule.forRoot({ clock }), DatabaseModule],
  controllers: [SlowController],
  providers: [Parts],
})
class AppModule {}

let apps: INestApplicationContext[] = [];
afterEach(async () => {
  const closing = Promise.all(apps.map((app) => app.close()));
  await clock.advance(60_000);
  await closing;
  apps = [];
  vi.restoreAllMocks();
});

async function startHttp(options?: GracefulShutdownOptions): Promise<INestApplication> {
  const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
  apps.push(app);
  if (options !== undefined) {
    enableGracefulShutdown(app, options);
  }
  await app.listen(0, '127.0.0.1');
  const server: { listening: boolean } = app.getHttpServer();
  app.get(Journal).isListening = () => server.listening;
  return app;
}

function portOf(app: INestApplication): number {
  const server: { address(): AddressInfo } = app.getHttpServer();
  return server.address().port;
}

function request(app: INestApplication, path: string, agent?: Agent): Promise<{ body: string; connection: string }> {
  return new Promise((resolve, reject) => {
    const call = get({ host: '127.0.0.1', port: portOf(app), path, ...(agent && { agent }) }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ body, connection: response.headers.connection ?? '' }));
    });
    call.on('error', reject);
  });
}

const alphabetically = (a: string, b: string): number => a.localeCompare(b);
/** `process.exit` never answers; the stub does, and counts. */
const stubExit = () => vi.spyOn(process, 'exit').mockReturnThis();
const listenersOf = (signal: NodeJS.Signals): number => process.listenerCount(signal);

describe('enableGracefulShutdown', () => {
  it("stops readiness, intake, HTTP, work, flush, Nest's hooks and clients, in this order", async () => {
    const app = await startHttp({ signals: false });
    await app.close();

    const { lines } = app.get(Journal);
    expect(lines.slice(0, 5)).toEqual([
      'readiness',
      'intake',
      'work, database open (http closed)',
      'flush (http closed)',
      'hook onModuleDestroy (http closed)',
    ]);
    // Which global module's last hook comes first is up to Nest.
    expect(lines.slice(5).toSorted(alphabetically)).toEqual([
      'clients (http closed)',
      'database closed (http closed)',
      'flush (http closed)',
    ]);
    expect(lines.lastIndexOf('flush (http closed)')).toBeLessThan(lines.indexOf('clients (http closed)'));
    expect(app.get(ShutdownCoordinator).report).toMatchObject({ clean: true });
    expect(clock.pendingTimers).toBe(0);
  });

  it('runs the same order in an application context, which has no HTTP', async () => {
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
    apps.push(app);
    enableGracefulShutdown(app, { signals: false, readinessDelayMs: 10_000 });
    await app.close();

    expect(app.get(Journal).lines.map((line) => line.split(' ')[0])).toEqual(
      expect.arrayContaining(['readiness', 'intake', 'work,', 'flush', 'hook', 'clients']),
    );
    expect(app.get(ShutdownCoordinator).phase).toBe('stopped');
    expect(clock.pendingTimers).toBe(0);
  });

  it('lets a running request end, tells its client to close, and accepts no new connection meanwhile', async () => {
    const app = await startHttp({ signals: false });
    const port = portOf(app);
    const agent = new Agent({ keepAlive: true });
    const before = await request(app, '/fast', agent);
    const slow = request(app, '/slow', agent);
    const controller = app.get(SlowController);
    await vi.waitUntil(() => controller.waiting.length === 1);
    const closing = app.close();
    await vi.waitUntil(() => app.get(Journal).lines.includes('intake'));
    await vi.waitUntil(() => !app.get(Journal).isListening());
    await expect(knock(port)).rejects.toThrow('ECONNREFUSED');

    controller.waiting[0]?.();
    expect(await slow).toMatchObject({ body: 'done' });
    await clock.advance(100);
    await closing;

    expect(before).toEqual({ body: 'fast', connection: 'keep-alive' });
    expect(app.get(ShutdownCoordinator).report.clean).toBe(true);
    agent.destroy();
  });

  it('cuts the connections of requests that do not end in time and reports them', async () => {
    const app = await startHttp({ signals: false, httpTimeoutMs: 2_000 });
    const hanging = request(app, '/slow').catch((error: Error) => error.message);
    await vi.waitUntil(() => app.get(SlowController).waiting.length === 1);
    const closing = app.close();
    await vi.waitUntil(() => !app.get(Journal).isListening());
    await clock.until(() => app.get(ShutdownCoordinator).report.steps.some(({ step }) => step === 'http'));
    await closing;

    expect(await hanging).toContain('hang up');
    expect(app.get(ShutdownCoordinator).report).toMatchObject({ clean: false, leftOver: 1 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('serves on for the readiness delay, with Connection: close', async () => {
    const app = await startHttp({ signals: false, readinessDelayMs: 5_000 });
    const agent = new Agent({ keepAlive: true });
    const closing = app.close();
    await vi.waitUntil(() => app.get(Journal).lines.includes('readiness'));

    expect(await request(app, '/fast', agent)).toEqual({ body: 'fast', connection: 'close' });
    expect(app.get(Journal).lines).toEqual(['readiness']);
    await clock.until(() => app.get(ShutdownCoordinator).phase === 'stopped');
    await closing;
    agent.destroy();
  });

  it('answers the same stop to every caller of close', async () => {
    const app = await startHttp({ signals: false });
    await Promise.all([app.close(), app.close()]);
    await app.close();

    expect(app.get(Journal).lines.filter((line) => line.startsWith('work'))).toHaveLength(1);
  });

  it('stops on a signal once, ignores its echo, sets the exit code, and leaves no listener', async () => {
    const exitCode = process.exitCode;
    const exit = stubExit();
    const count = listenersOf('SIGUSR2');
    const app = await startHttp({ signals: ['SIGUSR2'] });
    expect(listenersOf('SIGUSR2')).toBe(count + 1);
    process.emit('SIGUSR2');
    process.emit('SIGUSR2');
    await vi.waitUntil(() => app.get(ShutdownCoordinator).phase === 'stopped' && listenersOf('SIGUSR2') === count);
    await clock.settle();

    expect(process.exitCode).toBe(0);
    expect(exit).not.toHaveBeenCalled();
    // What still keeps the process open afterwards is not waited for.
    await clock.advance(2_000);
    expect(exit).toHaveBeenCalledOnce();
    process.exitCode = exitCode;
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends the process at once when a signal comes again a second later', async () => {
    const exitCode = process.exitCode;
    const exit = stubExit();
    const app = await startHttp({ signals: ['SIGUSR2'], readinessDelayMs: 5_000 });
    process.emit('SIGUSR2');
    await clock.advance(1_000);
    expect(exit).not.toHaveBeenCalled();
    process.emit('SIGUSR2');

    expect(exit).toHaveBeenCalledWith(128 + 12);
    await clock.until(() => app.get(ShutdownCoordinator).phase === 'stopped');
    await app.close();
    await clock.advance(2_000);
    process.exitCode = exitCode;
  });

  it('listens to SIGTERM and SIGINT by default and to nothing with signals: false', async () => {
    const counts = [listenersOf('SIGTERM'), listenersOf('SIGINT')];
    const silent = await startHttp({ signals: false });
    expect([listenersOf('SIGTERM'), listenersOf('SIGINT')]).toEqual(counts);
    const app = await startHttp({});
    expect([listenersOf('SIGTERM'), listenersOf('SIGINT')]).toEqual(counts.map((count) => count + 1));
    await Promise.all([app.close(), silent.close()]);

    expect([listenersOf('SIGTERM'), listenersOf('SIGINT')]).toEqual(counts);
  });

  it('refuses enableShutdownHooks before and after it, a second call, and an app without ResilienceModule', async () => {
    const hooked = await startHttp();
    hooked.enableShutdownHooks(['SIGUSR2']);
    expect(() => enableGracefulShutdown(hooked)).toThrow(/enableShutdownHooks\(\) was called before/);

    const app = await startHttp({ signals: false });
    expect(() => app.enableShutdownHooks()).toThrow(ConfigurationError);
    expect(() => enableGracefulShutdown(app, { signals: false })).toThrow(/called for this app already/);

    const bare = await NestFactory.createApplicationContext(DatabaseModule, { logger: false });
    apps.push(bare);
    expect(() => enableGracefulShutdown(bare)).toThrow(/Import ResilienceModule.forRoot\(\)/);
  });

  it('refuses unknown options and signals by name', async () => {
    const app = await startHttp();
    const wrong: object = { signal: ['SIGTERM'], phaseTimeoutsMs: { worker: 1 } };

    expect(() => enableGracefulShutdown(app, wrong)).toThrow(/worker.*signal/s);
  });

  it('closes the clients although a hook of Nest fails the close', async () => {
    const app = await startHttp({ signals: false });
    const failing = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
    apps.push(app);
    Object.defineProperty(failing, 'close', {
      configurable: true,
      value: () => Promise.reject(new Error('close failed')),
    });
    enableGracefulShutdown(failing, { signals: false });

    await expect(failing.close()).rejects.toThrow('close failed');
    expect(failing.get(ShutdownCoordinator).phase).toBe('stopped');
    expect(failing.get(Journal).lines.at(-1)).toContain('clients');
  });
});

describe('without enableGracefulShutdown', () => {
  it("drains in Nest's hooks before anything of the user's closes, and closes the clients last", async () => {
    const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
    const app = module.createNestApplication({ logger: false });
    apps.push(app);
    await app.listen(0, '127.0.0.1');
    const server: { listening: boolean } = app.getHttpServer();
    const journal = app.get(Journal);
    journal.isListening = () => server.listening;
    await app.close();

    const lines = journal.lines;
    expect(lines.slice(0, 5)).toEqual(['hook onModuleDestroy', 'readiness', 'intake', 'work, database open', 'flush']);
    expect(lines.slice(5).toSorted(alphabetically)).toEqual([
      'clients (http closed)',
      'database closed (http closed)',
      'flush (http closed)',
    ]);
    expect(lines.indexOf('flush (http closed)')).toBeLessThan(lines.indexOf('clients (http closed)'));
    expect(app.get(ShutdownCoordinator).report.clean).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });
});

function knock(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve();
    });
    socket.on('error', reject);
  });
}
