import type { INestApplicationContext } from '@nestjs/common';
import { z } from 'zod';
import { Clock } from '../clock/clock.js';
import { checkOptions } from '../configuration/check-options.js';
import { ConfigurationError } from '../resilience.errors.js';
import { ClosableServer } from './http-server.js';
import { ProcessSignals } from './process-signals.js';
import { RunningStarts } from './running-starts.js';
import { ShutdownCoordinator } from './shutdown.coordinator.js';
import { type ShutdownOptions, shutdownOptionsShape } from './shutdown.options.js';

/** How an app is stopped; times that are left out are those of `ResilienceModule.forRoot({ shutdown })`. */
export interface GracefulShutdownOptions extends ShutdownOptions {
  /**
   * The signals that stop the app. Default `['SIGTERM', 'SIGINT']`. `false`: none, for a host of several apps or a test, which calls
   * `app.close()` itself.
   */
  readonly signals?: readonly NodeJS.Signals[] | false | undefined;
}

const OWNER = 'enableGracefulShutdown';

const optionsSchema = z.strictObject({
  ...shutdownOptionsShape,
  signals: z
    .union(
      [
        z.literal(false),
        z.array(z.custom<NodeJS.Signals>((value) => typeof value === 'string' && /^SIG[A-Z0-9]+$/.test(value))),
      ],
      {
        error: "expected a list of signal names such as 'SIGTERM', or false",
      },
    )
    .optional(),
});

/**
 * Makes `app.close()` the one ordered stop: readiness down → intake stopped → HTTP closed → work drained → flushed → Nest's own hooks →
 * clients closed. It owns the signals: the first begins the stop; the process then ends by itself with exit code 0, or 1 when something
 * failed or was left over; a second signal, a second or more later, ends it at once with 128 + the signal's number.
 *
 * Call it once, before `listen`, instead of `app.enableShutdownHooks()`.
 *
 * @throws {@link ConfigurationError} when `enableShutdownHooks` was called (its handler never calls `close()` and kills the process), when
 *   it is called twice, when an option is wrong, or when the app does not import `ResilienceModule.forRoot()`.
 * @example
 * ```ts
 * const app = await NestFactory.create(AppModule);
 * enableGracefulShutdown(app, { readinessDelayMs: 10_000 });
 * await app.listen(3000);
 * ```
 */
export function enableGracefulShutdown(app: INestApplicationContext, options: GracefulShutdownOptions = {}): void {
  checkOptions(OWNER, optionsSchema, options);
  refuseNestHooks(app);
  const coordinator = coordinatorOf(app);
  const { signals = ['SIGTERM', 'SIGINT'], ...times } = options;
  if (!coordinator.claim(times)) {
    throw new ConfigurationError(
      OWNER,
      [{ option: '', problem: 'it was called for this app already' }],
      'Call it once.',
    );
  }
  const clock = app.get(Clock);
  const starts = new RunningStarts();
  const server = ClosableServer.of(app);
  let closing: Promise<void> | undefined;
  let listening: ProcessSignals | undefined;

  const close = async (closeNest: () => Promise<unknown>): Promise<void> => {
    try {
      await coordinator.runThrough('readiness');
      await starts.ended(clock, coordinator.options.httpTimeoutMs);
      await stopBeforeNest(coordinator, clock, server);
      await closeNest();
    } finally {
      // Nest's last hook has closed the clients already, unless something failed before it.
      await coordinator.runThrough('clients');
      server?.release();
      listening?.release();
    }
  };
  wrap(app, 'close', (closeNest) => (closing ??= close(closeNest)));
  for (const name of ['init', 'listen'] as const) {
    wrap(app, name, (start) => starts.watch(start, () => server?.closeNow()));
  }
  wrap(app, 'enableShutdownHooks', () => {
    throw new ConfigurationError(
      OWNER,
      [{ option: '', problem: 'app.enableShutdownHooks() was called after it' }],
      REMEDY,
    );
  });
  if (signals !== false) {
    // Nest's hooks are told the signal, though the type of `close` does not say so.
    const closeFor: (signal: string) => Promise<void> = app.close.bind(app);
    listening = new ProcessSignals(clock, signals, async (signal) => {
      await closeFor(signal);
      return coordinator.report.clean;
    });
  }
}

async function stopBeforeNest(
  coordinator: ShutdownCoordinator,
  clock: Clock,
  appServer: ClosableServer | undefined,
): Promise<void> {
  const server = appServer?.listening === true ? appServer : undefined;
  const hush = server?.announceClose();
  try {
    if (server !== undefined && coordinator.options.readinessDelayMs > 0) {
      await clock.sleep(coordinator.options.readinessDelayMs);
    }
    await coordinator.runThrough('intake');
    if (server !== undefined) {
      await coordinator.runHttp({ name: 'http server', stop: ({ signal }) => server.close(clock, signal) });
    }
    await coordinator.runThrough('flush');
  } finally {
    hush?.();
  }
}

const REMEDY = 'Leave enableShutdownHooks out: enableGracefulShutdown listens to the signals and calls app.close().';

/** Nest keeps its signal handlers in a map of this name; a test pins that. */
function refuseNestHooks(app: INestApplicationContext): void {
  const handlers: unknown = Reflect.get(app, 'shutdownCleanupRefs');
  if (handlers instanceof Map && handlers.size > 0) {
    throw new ConfigurationError(
      OWNER,
      [{ option: '', problem: 'app.enableShutdownHooks() was called before it' }],
      REMEDY,
    );
  }
}

function coordinatorOf(app: INestApplicationContext): ShutdownCoordinator {
  try {
    return app.get(ShutdownCoordinator);
  } catch (cause) {
    throw new ConfigurationError(
      OWNER,
      [
        {
          option: '',
          problem: `the app has no ShutdownCoordinator (${cause instanceof Error ? cause.name : 'unknown error'})`,
        },
      ],
      'Import ResilienceModule.forRoot() in the root module.',
    );
  }
}

type Wrapped = 'close' | 'enableShutdownHooks' | 'init' | 'listen';

/**
 * Puts `around` in place of a method of the app, if it has one, and hands it the method itself. Both go past the proxy that NestFactory
 * answers: it ignores assignments in silence, and its functions look the method up again at the call, and would find `around`.
 */
function wrap(app: INestApplicationContext, name: Wrapped, around: (method: () => Promise<unknown>) => unknown): void {
  const prototype: unknown = Object.getPrototypeOf(app);
  const inherited: unknown =
    typeof prototype === 'object' && prototype !== null ? Reflect.get(prototype, name) : undefined;
  const method: unknown = Object.getOwnPropertyDescriptor(app, name)?.value ?? inherited;
  if (typeof method === 'function') {
    // Called by the proxy, `this` is the app behind it.
    const value = function (this: unknown, ...args: unknown[]): unknown {
      return around(async () => (await Reflect.apply(method, this, args)) as unknown);
    };
    Object.defineProperty(app, name, { value, configurable: true, writable: true });
  }
}
