import type { INestApplicationContext } from '@nestjs/common';
import { z } from 'zod';
import { Clock } from '../clock/clock.js';
import { checkOptions } from '../configuration/check-options.js';
import { ConfigurationError } from '../resilience.errors.js';
import { announceClose, closeServer, listeningServer } from './http-server.js';
import { ProcessSignals } from './process-signals.js';
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
  const closeNest = ownClose(app);
  let closing: Promise<void> | undefined;
  let listening: ProcessSignals | undefined;

  const close = async (signal?: string): Promise<void> => {
    try {
      await stopBeforeNest(app, coordinator, clock);
      await closeNest(signal);
    } finally {
      // Nest's last hook has closed the clients already, unless something failed before it.
      await coordinator.runThrough('clients');
      listening?.release();
    }
  };
  const closeOnce = (signal?: string): Promise<void> => (closing ??= close(signal));
  replace(app, 'close', closeOnce);
  replace(app, 'enableShutdownHooks', () => {
    throw new ConfigurationError(
      OWNER,
      [{ option: '', problem: 'app.enableShutdownHooks() was called after it' }],
      REMEDY,
    );
  });
  if (signals !== false) {
    listening = new ProcessSignals(clock, signals, async (signal) => {
      await closeOnce(signal);
      return coordinator.report.clean;
    });
  }
}

async function stopBeforeNest(
  app: INestApplicationContext,
  coordinator: ShutdownCoordinator,
  clock: Clock,
): Promise<void> {
  const server = listeningServer(app);
  const hush = server === undefined ? undefined : announceClose(server);
  try {
    await coordinator.runThrough('readiness');
    if (server !== undefined && coordinator.options.readinessDelayMs > 0) {
      await clock.sleep(coordinator.options.readinessDelayMs);
    }
    await coordinator.runThrough('intake');
    if (server !== undefined) {
      await coordinator.runHttp({ name: 'http server', stop: ({ signal }) => closeServer(server, clock, signal) });
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

/** Defined, not assigned: the proxy that NestFactory answers ignores assignments in silence. */
function replace(app: INestApplicationContext, name: 'close' | 'enableShutdownHooks', method: () => unknown): void {
  Object.defineProperty(app, name, { value: method, configurable: true, writable: true });
}

/**
 * The `close` that the app has now. Not read through the app: NestFactory answers a proxy whose functions look the method up again at the
 * call, and would find ours.
 */
function ownClose(app: INestApplicationContext): (signal?: string) => Promise<void> {
  const own: unknown = Object.getOwnPropertyDescriptor(app, 'close')?.value;
  const prototype: unknown = Object.getPrototypeOf(app);
  const inherited: unknown =
    typeof prototype === 'object' && prototype !== null ? Reflect.get(prototype, 'close') : undefined;
  const close = own ?? inherited;
  if (typeof close !== 'function') {
    throw new ConfigurationError(OWNER, [{ option: '', problem: 'the app has no method close' }]);
  }
  return async (signal) => {
    await Reflect.apply(close, app, [signal]);
  };
}
