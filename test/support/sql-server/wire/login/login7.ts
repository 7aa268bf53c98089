import type { SqlLogin } from '../../seam.js';
import { ByteReader, WireFormatError } from '../bytes/byte-reader.js';

/** What a LOGIN7 message asks for. */
export interface Login7 {
  readonly login: SqlLogin;
  readonly packetSize: number;
  readonly tdsVersion: number;
  readonly language: string;
  /** Windows or federated authentication was asked for, which the test server has not. */
  readonly otherAuthentication: boolean;
  /** Ids of the features that the client offers. */
  readonly features: readonly number[];
}

/** Features of LOGIN7 that the server knows by name. */
export const Feature = { federatedAuthentication: 0x02, utf8Support: 0x0a, end: 0xff } as const;

const TDS_7_4 = 0x74000004;
const FIXED_BYTES = 94;
const INTEGRATED_SECURITY = 0x80;
const READ_ONLY_INTENT = 0x20;
const EXTENSION_USED = 0x10;

/** @throws WireFormatError when an offset leads out of the message, or the version is below 7.4. */
export function readLogin7(payload: Buffer): Login7 {
  if (payload.length < FIXED_BYTES) {
    throw new WireFormatError(`a login of ${payload.length} bytes`);
  }
  const tdsVersion = payload.readUInt32LE(4);
  if (tdsVersion < TDS_7_4) {
    throw new WireFormatError(`version 0x${tdsVersion.toString(16)}; the test server speaks 7.4`);
  }
  const field = (place: number): Buffer =>
    slice(payload, payload.readUInt16LE(place), payload.readUInt16LE(place + 2) * 2);
  const text = (place: number): string => field(place).toString('utf16le');
  const features = (payload.readUInt8(27) & EXTENSION_USED) === 0 ? [] : readFeatures(payload);
  return {
    login: {
      host: text(36),
      user: text(40),
      password: revealPassword(field(44)).toString('utf16le'),
      application: text(48),
      database: text(68),
      readOnlyIntent: (payload.readUInt8(26) & READ_ONLY_INTENT) !== 0,
    },
    packetSize: payload.readUInt32LE(8),
    tdsVersion,
    language: text(64),
    otherAuthentication:
      (payload.readUInt8(25) & INTEGRATED_SECURITY) !== 0 || features.includes(Feature.federatedAuthentication),
    features,
  };
}

/** The client swapped the halves of each byte, then flipped bits: no secret, only out of sight. */
function revealPassword(hidden: Buffer): Buffer {
  return Buffer.from(
    hidden.map((byte) => {
      const flipped = byte ^ 0xa5;
      return ((flipped & 0x0f) << 4) | (flipped >> 4);
    }),
  );
}

function readFeatures(payload: Buffer): readonly number[] {
  const pointer = slice(payload, payload.readUInt16LE(56), 4).readUInt32LE();
  const reader = new ByteReader(slice(payload, pointer, payload.length - pointer));
  const features: number[] = [];
  for (let id = reader.u8(); id !== Feature.end; id = reader.u8()) {
    reader.raw(reader.u32());
    features.push(id);
  }
  return features;
}

function slice(payload: Buffer, offset: number, length: number): Buffer {
  if (length < 0 || offset + length > payload.length) {
    throw new WireFormatError(`a login field at ${offset} of ${length} bytes`);
  }
  return payload.subarray(offset, offset + length);
}
