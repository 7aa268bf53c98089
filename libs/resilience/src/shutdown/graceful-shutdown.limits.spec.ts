import { get } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Controller, Get, Inject, Injectable, type INestApplication, Module } from '@nestjs/common';
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ResilienceModule } from '../resilience.module.js';
import { VirtualClock } from '../testing/virtual.clock.js';
import { enableGracefulShutdown, type GracefulShutdownOptions } from './graceful-shutdown.js';
import { SHUTDOWN_PHASES } from './shutdown-task.js';
import { ShutdownCoordinator } from './shutdown.coordinator.js';

@Controller()
class HangingController {
  asked = 0;
  @Get('hang')
  hang(): Promise<string> {
    this.asked += 1;
    return new Promise(() => undefined);
  }
}

/** A part whose start takes until a test lets it end. */
@Injectable()
class SlowPart implements OnApplicationBootstrap, OnApplicationShutdown {
  static readonly token = 'SlowPart';
  readonly seen: string[] = [];
  letStart: () => void = () => undefined;
  slow = false;
  constructor(@Inject(ShutdownCoordinator) coordinator: ShutdownCoordinator) {
    coordinator.register({ name: 'slow part', phase: 'intake', stop: () => void this.seen.push('stopped') });
  }
  async onApplicationBootstrap(): Promise<void> {
    if (this.slow) {
      this.seen.push('starting');
      await new Promise<void>((resolve) => (this.letStart = resolve));
    }
    this.seen.push('started');
  }
  onApplicationShutdown(signal?: string): void {
    this.seen.push(`hook ${signal ?? 'without signal'}`);
  }
}

let clock: VirtualClock;
let app: INestApplication;
let sockets: Socket[];

beforeEach(() => {
  clock = new VirtualClock();
  sockets = [];
});
afterEach(async () => {
  sockets.forEach((socket) => socket.destroy());
  const closing = app.close();
  await clock.advance(60_000);
  await closing;
});

async function create(options: GracefulShutdownOptions = {}): Promise<void> {
  @Module({
    imports: [ResilienceModule.forRoot({ clock })],
    controllers: [HangingController],
    providers: [SlowPart],
  })
  class AppModule {}
  app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
  enableGracefulShutdown(app, { signals: false, ...options });
}

const server = (): { listening: boolean; address(): AddressInfo; on(event: 'upgrade', heard: () => void): void } =>
  app.getHttpServer();
const coordinator = (): ShutdownCoordinator => app.get(ShutdownCoordinator);

/** A connection that Node's HTTP server has handed over, as it does with WebSockets. */
async function upgradedConnection(): Promise<void> {
  const upgraded = new Promise<void>((resolve) => server().on('upgrade', resolve));
  const socket = connect(server().address().port, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await upgraded;
}

describe('the limits of a stop', () => {
  it('does not wait beyond its time for a connection that was upgraded, counts it, and leaves no timer', async () => {
    await create();
    await app.listen(0, '127.0.0.1');
    await upgradedConnection();
    const closing = app.close();
    await clock.until(() => coordinator().phase === 'stopped');
    await closing;

    expect(coordinator().report).toMatchObject({ clean: false, leftOver: 1 });
    expect(clock.monotonic()).toBeLessThan(6_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends within the 30 s of Kubernetes by default, whatever hangs, with a second to spare for the process', async () => {
    await create();
    await app.listen(0, '127.0.0.1');
    for (const phase of SHUTDOWN_PHASES) {
      coordinator().register({ name: `hanging ${phase}`, phase, stop: () => new Promise(() => undefined) });
    }
    get({ host: '127.0.0.1', port: server().address().port, path: '/hang' }).on('error', () => undefined);
    await vi.waitUntil(() => app.get(HangingController).asked === 1);
    const closing = app.close();
    await clock.until(() => coordinator().phase === 'stopped');
    await closing;

    const timedOut = coordinator().report.steps.flatMap(({ tasks }) =>
      tasks.filter((task) => task.outcome === 'timedOut'),
    );
    expect(timedOut).toHaveLength(6);
    expect(clock.monotonic()).toBeGreaterThan(25_000);
    expect(clock.monotonic()).toBeLessThanOrEqual(29_000);
  });

  it('lets a start that is under way end, then stops what it started, and listens to nobody afterwards', async () => {
    await create();
    const part = app.get(SlowPart);
    part.slow = true;
    const listening = app.listen(0, '127.0.0.1');
    await vi.waitUntil(() => part.seen.includes('starting'));
    const closing = app.close();
    await clock.settle();
    expect(part.seen).toEqual(['starting']);
    expect(coordinator().isStopping).toBe(true);
    part.letStart();
    await listening;
    await clock.until(() => coordinator().phase === 'stopped');
    await closing;

    expect(part.seen).toEqual(['starting', 'started', 'stopped', 'hook without signal']);
    expect(server().listening).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not wait for ever for a start that hangs, and closes the port that it opens later', async () => {
    await create({ httpTimeoutMs: 2_000 });
    const part = app.get(SlowPart);
    part.slow = true;
    const listening = app.listen(0, '127.0.0.1');
    await vi.waitUntil(() => part.seen.includes('starting'));
    const closing = app.close();
    await clock.advance(1_999);
    expect(part.seen).toEqual(['starting']);
    await clock.advance(1);
    await closing;
    expect(part.seen).toEqual(['starting', 'stopped', 'hook without signal']);
    part.letStart();
    await listening;

    expect(server().listening).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });

  it('closes the port of an app that is told to listen after its stop', async () => {
    await create();
    await app.close();
    await app.listen(0, '127.0.0.1');

    expect(server().listening).toBe(false);
  });

  it("tells Nest's hooks which signal stopped the app", async () => {
    vi.spyOn(process, 'exit').mockReturnThis();
    const { exitCode } = process;
    await create({ signals: ['SIGUSR2'] });
    await app.listen(0, '127.0.0.1');
    process.emit('SIGUSR2');
    await clock.until(() => coordinator().phase === 'stopped');
    await app.close();

    expect(app.get(SlowPart).seen).toContain('hook SIGUSR2');
    await clock.advance(2_000);
    process.exitCode = exitCode;
    vi.restoreAllMocks();
  });
});
