import { VirtualClock } from '@smartpulse/resilience/testing';

/** For subjects without any I/O: everything that promises can do is done in one turn of the event loop. */
export class PromptClock extends VirtualClock {
  override async settle(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
