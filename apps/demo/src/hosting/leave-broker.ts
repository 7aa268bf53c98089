import { type INestApplicationContext, Logger } from '@nestjs/common';
import { PulsarRegistry } from '@smartpulse/pulsar';

/**
 * Deletes an app's subscriptions, so that a real broker may delete the topics of a run that is over. What cannot be deleted keeps messages that
 * nobody will ever read: that is told.
 */
export async function leaveBroker(app: INestApplicationContext): Promise<void> {
  for (const consumer of app.get(PulsarRegistry, { strict: false }).list()) {
    try {
      await consumer.unsubscribe();
    } catch (error) {
      new Logger('Demo').warn(
        `The subscription ${consumer.subscription} stays on ${consumer.topic}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}
