import type { ClientEvent } from './client.options.js';

/**
 * Tells events, and goes on whatever the listener does: events are told in the middle of frames and attachments, which what it throws would end for
 * everybody on the connection. There is nobody left to tell of it, so the process warns, once for each client.
 */
export function eventSink(onEvent: ((event: ClientEvent) => void) | undefined): (event: ClientEvent) => void {
  let warned = false;
  return (event) => {
    try {
      onEvent?.(event);
    } catch (cause) {
      if (!warned) {
        warned = true;
        process.emitWarning(`onEvent of a PulsarClient threw at the event "${event.type}": ${String(cause)}`, {
          code: 'SMARTPULSE_WIRE_EVENT_LISTENER',
        });
      }
    }
  };
}
