import { Logger } from '@nestjs/common';
import type { Clock, Random } from '@smartpulse/resilience';
import { NativeTransport } from '../native/native.transport.js';
import type { ResolvedPulsarOptions } from '../pulsar.options.js';
import { WebSocketTransport } from '../websocket/websocket.transport.js';
import { eventLine } from '../wire/wire.events.js';
import { WireTransport } from '../wire/wire.transport.js';
import { PulsarTransport } from './pulsar.transport.js';

/**
 * The transport that the options ask for: one of the application's own as it is, else the one of the URL. `in-process` is not made here: it needs its broker.
 *
 * @throws PulsarError when the URL is none.
 */
export function createTransport(
  options: ResolvedPulsarOptions,
  parts: { readonly clock: Clock; readonly random: Random },
): PulsarTransport {
  const { transport } = options;
  if (transport instanceof PulsarTransport) {
    return transport;
  }
  if (transport === 'native') {
    return new NativeTransport(options, parts);
  }
  if (transport === 'websocket') {
    return new WebSocketTransport(options, parts);
  }
  const logger = new Logger(WireTransport.name);
  return new WireTransport(options, {
    ...parts,
    onEvent: (event) => {
      const line = eventLine(event);
      if (line !== undefined) {
        logger[line.level](line.text);
      }
    },
  });
}
