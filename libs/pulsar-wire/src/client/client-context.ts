import type { BackoffOptions } from '../connection/backoff.js';
import type { ConnectionPool } from '../connection/connection-pool.js';
import type { LookupService } from '../lookup/lookup-service.js';
import type { FrameMemory } from '../producer/frame-memory.js';
import type { ClientEvent } from './client.options.js';
import type { Clock, Random } from './time.js';

/** What the parts of one client share. */
export interface ClientContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly operationTimeoutMs: number;
  readonly backoff: BackoffOptions;
  readonly pool: ConnectionPool;
  readonly lookup: LookupService;
  readonly frameMemory: FrameMemory;
  /** One counter for requests, producers and consumers: they need only be unique per connection, and stay the same for life. */
  nextId(): number;
  /** Spreads producers and consumers over the connections to a broker. */
  nextSlot(): number;
  emit(event: ClientEvent): void;
}
