import { Logger } from '@nestjs/common';
import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { InProcessBroker } from '@smartpulse/pulsar/in-process';
import { SmartPulseError, SystemClock } from '@smartpulse/resilience';
import { readEnvironment } from './environment.js';
import { createNotificationServiceApp } from './notification-service.app.js';
import { checkNotificationDatabase, migrateNotificationDatabase } from './store/notification.data-source.js';

const logger = new Logger('NotificationService');

async function start(): Promise<void> {
  const { port, broker, database, migrate, databaseFile } = readEnvironment(process.env);
  const places = [
    ...(database === undefined
      ? [`Embedded in this process: database ${databaseFile === ':memory:' ? 'in memory' : 'in a file'}`]
      : ['SQL Server is where DATABASE_URL says']),
    broker === undefined
      ? 'The broker is embedded, and nobody else publishes to it (both apps in one process: npm run demo)'
      : `Pulsar is at ${broker.url}, namespace ${broker.namespace}`,
  ];
  logger.log(places.join('. '));
  const clock = new SystemClock();
  if (database !== undefined) {
    await (migrate ? migrateNotificationDatabase(database) : checkNotificationDatabase(database));
  }
  // They live as long as the process: nothing is left to close once the app has drained.
  const app = await createNotificationServiceApp({
    database: database ?? EmbeddedDatabase.open({ name: 'notification-service', file: databaseFile, clock }),
    broker: broker ?? new InProcessBroker({ clock }),
    clock,
  });
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
