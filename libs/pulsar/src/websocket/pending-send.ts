import type { FlushGeneration } from '@smartpulse/pulsar-wire';
import type { SendListener } from '../transport/pulsar.transport.js';

/** A send from its call to its end. */
export interface PendingSend {
  /** Up to the context; empty once it is written, when nobody needs it any more. */
  frame: string;
  /** Of the payload. */
  readonly bytes: number;
  /** Does not wait for others. */
  readonly urgent: boolean;
  readonly generation: FlushGeneration;
  readonly listener: SendListener;
  state: 'waiting' | 'ready' | 'written' | 'settled';
  context: string;
  /** On the monotonic clock. */
  deadlineMs: number;
  /** Lets go of the caller's signal. */
  release: (() => void) | undefined;
}
