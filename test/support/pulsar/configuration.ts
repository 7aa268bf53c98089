import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificates } from './certificates.js';
import { signToken } from './tokens.js';

/** What a broker of a test run does differently from a plain one. */
export interface BrokerFeatures {
  /** Demands tokens, and permission for whoever is not the superuser `admin`. @defaultValue false */
  readonly authentication?: boolean | undefined;
  /** Listens for TLS too. The names are those of its certificate. @defaultValue false; with true `localhost` and 127.0.0.1 */
  readonly tls?: boolean | readonly string[] | undefined;
  /** Drops what a producer sends twice. @defaultValue false */
  readonly deduplication?: boolean | undefined;
  /** The largest message, in bytes. @defaultValue 5 MiB */
  readonly maxMessageBytes?: number | undefined;
  /** Stores and delivers each message at once instead of gathering for some milliseconds, as a production broker does. @defaultValue true */
  readonly immediate?: boolean | undefined;
  /** Further settings of `broker.conf`, or others for the above. */
  readonly properties?: Readonly<Record<string, string>> | undefined;
}

/** The ports of one broker on 127.0.0.1. */
export interface BrokerPorts {
  readonly binary: number;
  readonly http: number;
  readonly binaryTls: number;
  readonly httpTls: number;
}

/** What clients need to know to be let in. */
export interface BrokerAccess {
  /** Signs tokens; undefined without authentication. */
  readonly secret: Buffer | undefined;
  /** PEM, to be trusted by clients; undefined without TLS. */
  readonly authority: string | undefined;
}

/** The role that may do everything on a broker with authentication. */
export const SUPERUSER = 'admin';

type Properties = Readonly<Record<string, string | number | boolean>>;

const LARGEST_MESSAGE_BYTES = 5_242_880;
/** What a frame may need besides the message. A bookie that refuses a frame makes the broker retry for ever. */
const FRAME_OVERHEAD_BYTES = 10_240;

/** Loopback only: brokers, and the bookie that a standalone starts inside. */
const LOOPBACK: Properties = {
  bindAddress: '127.0.0.1',
  advertisedAddress: '127.0.0.1',
  listeningInterface: 'lo',
  allowLoopback: true,
};

/** With one bookie nothing is ready under the defaults of two. */
const ONE_BOOKIE: Properties = {
  managedLedgerDefaultEnsembleSize: 1,
  managedLedgerDefaultWriteQuorum: 1,
  managedLedgerDefaultAckQuorum: 1,
};

/** The settings of a bookie with this largest message. */
export function bookieProperties({ maxMessageBytes, immediate = true }: BrokerFeatures): Properties {
  return {
    nettyMaxFrameSizeBytes: Math.max(maxMessageBytes ?? 0, LARGEST_MESSAGE_BYTES) + FRAME_OVERHEAD_BYTES,
    // Test runs are small and share their disk: a full one is not theirs to refuse.
    diskUsageThreshold: 0.99,
    diskUsageWarnThreshold: 0.98,
    ...(immediate ? { journalFlushWhenQueueEmpty: true, journalMaxGroupWaitMSec: 0 } : {}),
  };
}

/** The settings of a broker. Writes the secret and the certificates that they name into the folder. */
export function brokerProperties(
  folder: string,
  ports: BrokerPorts,
  features: BrokerFeatures,
): { readonly properties: Properties; readonly access: BrokerAccess } {
  const secret = features.authentication === true ? randomBytes(32) : undefined;
  const names = features.tls === true ? ['localhost', '127.0.0.1'] : features.tls || undefined;
  const tls = names === undefined ? undefined : tlsProperties(folder, ports, names);
  return {
    properties: {
      ...LOOPBACK,
      ...ONE_BOOKIE,
      brokerServicePort: ports.binary,
      webServicePort: ports.http,
      webSocketServiceEnabled: true,
      // Tests look at topics after the last client has gone.
      brokerDeleteInactiveTopicsEnabled: false,
      ...(features.immediate === false ? {} : { managedLedgerNewEntriesCheckDelayInMillis: 0 }),
      ...(features.deduplication === true ? { brokerDeduplicationEnabled: true } : {}),
      ...(features.maxMessageBytes === undefined ? {} : { maxMessageSize: features.maxMessageBytes }),
      ...(secret === undefined ? {} : authenticationProperties(folder, secret)),
      ...tls?.properties,
      ...features.properties,
    },
    access: { secret, authority: tls?.authority },
  };
}

/** Writes a properties file; answers its path. */
export function writeProperties(folder: string, file: string, properties: Properties): string {
  const path = join(folder, file);
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`);
  writeFileSync(path, lines.join(''), { mode: 0o600 });
  return path;
}

function authenticationProperties(folder: string, secret: Buffer): Properties {
  const file = join(folder, 'token-secret');
  writeFileSync(file, secret, { mode: 0o600 });
  return {
    authenticationEnabled: true,
    authenticationProviders: 'org.apache.pulsar.broker.authentication.AuthenticationProviderToken',
    tokenSecretKey: `file://${file}`,
    superUserRoles: SUPERUSER,
    authorizationEnabled: true,
    // The broker is a client of itself: for its health check and its WebSocket service.
    brokerClientAuthenticationPlugin: 'org.apache.pulsar.client.impl.auth.AuthenticationToken',
    brokerClientAuthenticationParameters: `token:${signToken(secret, { subject: SUPERUSER })}`,
  };
}

function tlsProperties(
  folder: string,
  ports: BrokerPorts,
  names: readonly string[],
): { readonly properties: Properties; readonly authority: string } {
  const made = makeCertificates(names);
  const authorityFile = join(folder, 'authority.pem');
  const certificateFile = join(folder, 'server.pem');
  const keyFile = join(folder, 'server.key');
  writeFileSync(authorityFile, made.authority);
  writeFileSync(certificateFile, made.certificate);
  writeFileSync(keyFile, made.privateKey, { mode: 0o600 });
  return {
    properties: {
      brokerServicePortTls: ports.binaryTls,
      webServicePortTls: ports.httpTls,
      tlsCertificateFilePath: certificateFile,
      tlsKeyFilePath: keyFile,
      tlsTrustCertsFilePath: authorityFile,
      brokerClientTrustCertsFilePath: authorityFile,
    },
    authority: made.authority,
  };
}
