import { connect as connectTcp, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { addressUrl, type BrokerAddress } from './service-url.js';
import { ConnectionError } from '../client/client.errors.js';

/** What TLS connections trust and show. */
export interface TlsOptions {
  /** Certificate authorities to trust instead of the machine's, PEM. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[] | undefined;
  /** The client's own certificate, PEM. */
  readonly cert?: string | Buffer | undefined;
  /** The key of {@link cert}, PEM. */
  readonly key?: string | Buffer | undefined;
  /** The name that the certificate must carry, instead of the host that is connected to. */
  readonly servername?: string | undefined;
  /** `false` accepts every certificate: for experiments only. Default `true`. */
  readonly rejectUnauthorized?: boolean | undefined;
}

/** Memory that a socket may read into, instead of allocating for each read. */
export interface Intake {
  /** Where the next bytes belong. */
  room(): Uint8Array;
  /** So many bytes were put there. */
  filled(count: number): void;
}

/**
 * Opens the byte stream to a broker. Rejects when `signal` is aborted, and leaves no socket behind then. What is received comes by the
 * stream's `data`, or into `intake`. A test hands in one of its own.
 *
 * A frame that is written to the stream is written over with another one when the broker has answered it: a stream that keeps frames for longer copies them.
 */
export type Dial = (address: BrokerAddress, signal: AbortSignal, intake: Intake) => Promise<Duplex>;

/** Dials over TCP, or TLS where the address says so. */
export function dialSocket(tls: TlsOptions = {}): Dial {
  return (address, signal, intake) =>
    new Promise((resolve, reject) => {
      const { host, port } = address;
      const onread = {
        buffer: () => intake.room(),
        callback: (count: number) => {
          intake.filled(count);
          return true;
        },
      };
      // Node's TLS sockets take `onread` as well; their type does not say so, hence the variable.
      const settings = { host, port, onread };
      const socket = address.tls ? connectTls({ ...settings, ...tlsSettings(address, tls) }) : connectTcp(settings);
      const ready = address.tls ? 'secureConnect' : 'connect';
      const settle = (): void => {
        signal.removeEventListener('abort', onAbort);
        socket.removeListener(ready, onReady);
        socket.removeListener('error', onError);
      };
      const onReady = (): void => {
        settle();
        resolve(socket);
      };
      const onError = (cause: Error): void => {
        settle();
        socket.destroy();
        reject(new ConnectionError(addressUrl(address), 'could not be made', { cause }));
      };
      const onAbort = (): void => {
        settle();
        // The socket may still report what its end does to it.
        socket.on('error', () => socket.destroy());
        socket.destroy();
        reject(
          signal.reason instanceof Error
            ? signal.reason
            : new ConnectionError(addressUrl(address), 'was called off', { cause: signal.reason }),
        );
      };
      socket.setNoDelay(true);
      socket.once(ready, onReady);
      socket.once('error', onError);
      if (signal.aborted) {
        onAbort();
      } else {
        signal.addEventListener('abort', onAbort, { once: true });
      }
    });
}

function tlsSettings(address: BrokerAddress, tls: TlsOptions): object {
  // An address is no server name (RFC 6066); Node then checks it against the certificate's IP names. Absent keys must stay absent:
  // an undefined `checkServerIdentity` or `ca` is not the same as none.
  const servername = tls.servername ?? (isIP(address.host) === 0 ? address.host : undefined);
  return Object.fromEntries(Object.entries({ ...tls, servername }).filter(([, value]) => value !== undefined));
}
