import { Logger } from '@nestjs/common';
import { InProcessBroker } from '@smartpulse/pulsar/in-process';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { ShutdownCoordinator, SmartPulseError, SystemClock } from '@smartpulse/resilience';
import { readEnvironment } from './environment.js';
import { createProductionForecastApp } from './production-forecast.app.js';
import { ForecastDatabase } from './storage/forecast.database.js';

const logger = new Logger('ProductionForecast');

async function start(): Promise<void> {
  const { port, broker, cache, database: server, migrate, databaseFile } = readEnvironment(process.env);
  const embedded = [
    ...(broker === undefined ? ['broker in memory'] : []),
    ...(cache === undefined ? ['cache in memory'] : []),
    ...(server === undefined ? [`database ${databaseFile === ':memory:' ? 'in memory' : 'in a file'}`] : []),
  ];
  const servers = [
    ...(broker === undefined ? [] : [`Pulsar is at ${broker.url}, namespace ${broker.namespace}`]),
    ...(cache === undefined ? [] : ['Redis is where REDIS_URL says']),
    ...(server === undefined ? [] : ['SQL Server is where DATABASE_URL says']),
  ];
  const here = embedded.length === 0 ? [] : [`Embedded in this process, shared with no other: ${embedded.join(', ')}`];
  logger.log([...here, ...servers].join('. '));
  const clock = new SystemClock();
  const opened = await ForecastDatabase.open({
    name: 'production-forecast',
    server,
    migrate,
    file: databaseFile,
    cache,
    clock,
  });
  const { database, outside } = opened;
  // Broker and cache live as long as the process: nothing is left to close once the app has drained.
  const app = await createProductionForecastApp({
    database,
    outside,
    broker: broker ?? new InProcessBroker({ clock }),
    cacheServer: cache ?? new EmbeddedCacheServer({ clock }),
    clock,
  }).catch(async (error: unknown) => {
    await opened.close();
    throw error;
  });
  app.get(ShutdownCoordinator).register({ name: 'database', phase: 'clients', stop: () => opened.close() });
  try {
    // Nobody is authenticated yet, so nobody else may knock.
    await app.listen(port, '127.0.0.1');
  } catch (error) {
    // Trackers and consumers may run already: without a port they would keep the process for nothing.
    await app.close();
    throw error;
  }
  logger.log(`Listening on ${await app.getUrl()}`);
}

try {
  await start();
} catch (error) {
  logger.fatal(error instanceof SmartPulseError ? error.message : error);
  process.exitCode = 1;
}
