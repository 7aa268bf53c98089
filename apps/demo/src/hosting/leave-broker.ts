import { type INestApplicationContext } from '@nestjs/common';
import { type PulsarConsumerHandle, PulsarRegistry } from '@smartpulse/pulsar';

/**
 * Deletes the subscriptions of a run's apps, so that a real broker may delete its topics: nobody will ever read them again. A broker lets only
 * the last consumer of a subscription delete it, so the others are closed before.
 *
 * @returns a sentence for every subscription that could not be deleted.
 */
export async function leaveBroker(apps: readonly INestApplicationContext[]): Promise<readonly string[]> {
  const lastOf = new Map<string, PulsarConsumerHandle>();
  for (const consumer of apps.flatMap((app) => app.get(PulsarRegistry, { strict: false }).list())) {
    const name = `${consumer.topic} ${consumer.subscription}`;
    await lastOf.get(name)?.close();
    lastOf.set(name, consumer);
  }
  const left: string[] = [];
  for (const consumer of lastOf.values()) {
    try {
      await consumer.unsubscribe();
    } catch (error) {
      left.push(
        `The subscription ${consumer.subscription} stays on ${consumer.topic}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return left;
}
