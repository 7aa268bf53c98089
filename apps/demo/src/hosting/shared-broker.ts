import { type BrokerAddress } from '@smartpulse/production-forecast';
import { type Clock, type Random } from '@smartpulse/resilience';
import { type SharedBroker } from './embedded-parts.js';

/**
 * A real broker for one run; `undefined` where none is named.
 *
 * @param random of the machine: a seeded one would name every run alike.
 */
export function sharedBroker(
  address: BrokerAddress | undefined,
  clock: Clock,
  random: Random,
): SharedBroker | undefined {
  const chance = Buffer.from(random.bytes(4)).toString('hex');
  return address === undefined
    ? undefined
    : { address, installation: `run-${Math.floor(clock.now() / 1_000).toString(36)}-${chance}` };
}
