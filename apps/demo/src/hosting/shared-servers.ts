import { type BrokerAddress, type CacheAddress, type DatabaseAddress } from '@smartpulse/production-forecast';
import { type Clock, type Random } from '@smartpulse/resilience';
import { type SharedServers } from './embedded-parts.js';

/**
 * The real servers of one run; `undefined` where none is named.
 *
 * @param random of the machine: a seeded one would name every run alike.
 */
export function sharedServers(
  {
    broker,
    cache,
    database,
  }: {
    readonly broker: BrokerAddress | undefined;
    readonly cache: CacheAddress | undefined;
    readonly database: DatabaseAddress | undefined;
  },
  clock: Clock,
  random: Random,
): SharedServers | undefined {
  const chance = Buffer.from(random.bytes(4)).toString('hex');
  return broker === undefined && cache === undefined && database === undefined
    ? undefined
    : { broker, cache, database, installation: `run-${Math.floor(clock.now() / 1_000).toString(36)}-${chance}` };
}
