import type { ClientEvent } from '@smartpulse/pulsar-wire';

/** A line for the log; `undefined` is not worth one. */
export interface EventLine {
  readonly level: 'log' | 'warn' | 'error';
  readonly text: string;
}

/** What the wire client tells of its life, as a line for the log. Causes carry no credentials. */
export function eventLine(event: ClientEvent): EventLine | undefined {
  switch (event.type) {
    case 'connection-lost':
      return { level: 'warn', text: `The connection to ${event.address} is lost: ${reason(event.cause)}` };
    case 'producer-detached':
    case 'consumer-detached':
      // The lost connection or the moved topic was told already, or mends itself before anybody notices.
      return undefined;
    case 'producer-attached':
      return event.resentFrames === 0
        ? undefined
        : {
            level: 'log',
            text: `A producer on ${event.topic} is back and has sent ${event.resentFrames} frames again.`,
          };
    case 'consumer-attached':
      return undefined;
    case 'attach-failed':
      return {
        level: 'warn',
        text: `${event.topic} cannot be attached to, attempt ${event.attempt}: ${reason(event.cause)}`,
      };
    case 'partitions-added':
      return { level: 'log', text: `${event.topic} has ${event.partitions} partitions by now, and all are in use.` };
    case 'partitions-unknown':
      return {
        level: 'warn',
        text: `Whether ${event.topic} has more partitions by now is unknown: ${reason(event.cause)}`,
      };
    case 'entry-dropped':
      return { level: 'error', text: `Entry ${event.entry} of ${event.topic} cannot be read: ${reason(event.cause)}` };
    case 'entries-skipped':
      return {
        level: 'warn',
        text: `Entries of ${event.topic} that were given back have not come again and are asked for once more: ${reason(event.cause)}`,
      };
    case 'listener-failed':
      return { level: 'error', text: `A listener on ${event.topic} threw: ${reason(event.cause)}` };
    case 'unexpected-command':
      return { level: 'warn', text: `${event.address} sent something unexpected: ${event.command}.` };
    default:
      return undefined;
  }
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
