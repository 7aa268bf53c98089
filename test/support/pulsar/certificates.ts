import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';

/** A certificate authority that exists for one run, and a certificate signed by it, for a server or a client; all PEM. */
export interface TestCertificates {
  readonly authority: string;
  readonly certificate: string;
  readonly privateKey: string;
}

const DAY_MS = 86_400_000;

/** Makes an authority and a certificate for these host names and IPv4 addresses, valid for two days around now. */
export function makeCertificates(names: readonly string[]): TestCertificates {
  const authority = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const server = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const issuer = commonName('SmartPulse test authority');
  return {
    authority: certificateOf(issuer, issuer, authority.publicKey, authority.privateKey, [
      extension(OID.basicConstraints, true, sequence(BOOLEAN_TRUE)),
      extension(OID.keyUsage, true, der(0x03, [Buffer.from([1, 0x06])])),
    ]),
    certificate: certificateOf(issuer, commonName(names[0] ?? 'nobody'), server.publicKey, authority.privateKey, [
      extension(OID.basicConstraints, true, sequence()),
      extension(OID.keyUsage, true, der(0x03, [Buffer.from([5, 0xa0])])),
      extension(OID.extendedKeyUsage, false, sequence(objectId(OID.serverAuth), objectId(OID.clientAuth))),
      extension(OID.subjectAltName, false, sequence(...names.map(alternativeName))),
    ]),
    privateKey: server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** Object identifiers in their encoded form. */
const OID = {
  sha256WithRsa: '2a864886f70d01010b',
  commonName: '550403',
  keyUsage: '551d0f',
  subjectAltName: '551d11',
  basicConstraints: '551d13',
  extendedKeyUsage: '551d25',
  serverAuth: '2b06010505070301',
  clientAuth: '2b06010505070302',
} as const;

const BOOLEAN_TRUE = Buffer.from([0x01, 0x01, 0xff]);

/** X.509, RFC 5280 4.1: what is signed, the algorithm, the signature. */
function certificateOf(
  issuer: Buffer,
  subject: Buffer,
  publicKey: KeyObject,
  signer: KeyObject,
  extensions: readonly Buffer[],
): string {
  const algorithm = sequence(objectId(OID.sha256WithRsa), der(0x05, []));
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(15)]);
  const now = Date.now();
  const content = sequence(
    der(0xa0, [der(0x02, [Buffer.from([2])])]),
    der(0x02, [serial]),
    algorithm,
    issuer,
    sequence(time(now - DAY_MS), time(now + DAY_MS)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, [sequence(...extensions)]),
  );
  const signature = der(0x03, [Buffer.from([0]), sign('sha256', content, signer)]);
  const lines = sequence(content, algorithm, signature)
    .toString('base64')
    .replaceAll(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function commonName(name: string): Buffer {
  return sequence(der(0x31, [sequence(objectId(OID.commonName), der(0x0c, [Buffer.from(name)]))]));
}

function alternativeName(name: string): Buffer {
  if (isIP(name) === 0) {
    return der(0x82, [Buffer.from(name)]);
  }
  if (!isIPv4(name)) {
    throw new Error(`${name} is not an IPv4 address`);
  }
  return der(0x87, [Buffer.from(name.split('.').map(Number))]);
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectId(id), ...(critical ? [BOOLEAN_TRUE] : []), der(0x04, [value]));
}

function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/\D/g, '').slice(0, 14);
  return der(0x18, [Buffer.from(`${digits}Z`)]);
}

function objectId(encoded: string): Buffer {
  return der(0x06, [Buffer.from(encoded, 'hex')]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, parts);
}

/** Tag, length, content (DER, X.690). */
function der(tag: number, parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) {
    return Buffer.concat([Buffer.from([tag, content.length]), content]);
  }
  const hex = content.length.toString(16);
  const length = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}
