import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** What a broker says to a CONNECT. */
export type Greeting =
  | { readonly command: 'connected'; readonly serverVersion: string; readonly maxMessageBytes: number }
  | { readonly command: 'error'; readonly message: string };

const TIMEOUT_MS = 10_000;
const CONNECTED = 3;
const ERROR = 14;

/** The first exchange of Pulsar's binary protocol, byte by byte, with nothing of ours in between. */
export async function greet(
  url: string,
  options: { readonly token?: string; readonly authority?: string } = {},
): Promise<Greeting> {
  const { protocol, hostname: host, port } = new URL(url);
  const socket =
    protocol === 'pulsar+ssl:'
      ? connectTls({
          host,
          port: Number(port),
          ca: options.authority,
          ...(isIP(host) === 0 ? { servername: host } : {}),
        })
      : connectPlain({ host, port: Number(port) });
  try {
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`No answer to CONNECT after ${TIMEOUT_MS} ms`)));
    socket.write(connectFrame(options.token));
    return parseGreeting(await firstFrame(socket));
  } finally {
    socket.destroy();
  }
}

/** total size, command size, { type: CONNECT, connect: { client_version, auth_data, protocol_version, auth_method_name } } */
function connectFrame(token?: string): Buffer {
  const authentication = token === undefined ? [] : [bytes(3, token), bytes(5, 'token')];
  const connect = Buffer.concat([bytes(1, 'handshake'), ...authentication, Buffer.from([4 << 3, 21])]);
  const command = Buffer.concat([Buffer.from([1 << 3, 2]), bytes(2, connect)]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(command.length + 4, 0);
  frame.writeUInt32BE(command.length, 4);
  return Buffer.concat([frame, command]);
}

async function firstFrame(socket: Socket): Promise<Buffer> {
  let received = Buffer.alloc(0);
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk as Buffer]);
    if (received.length >= 8 && received.length >= received.readUInt32BE(0) + 4) {
      return received.subarray(8, 8 + received.readUInt32BE(4));
    }
  }
  throw new Error(`The connection ended after ${received.length} bytes`);
}

function parseGreeting(command: Buffer): Greeting {
  const type = fieldsOf(command).get(1);
  const content = fieldsOf(command).get(Number(type));
  if (type === CONNECTED && content instanceof Buffer) {
    const fields = fieldsOf(content);
    return { command: 'connected', serverVersion: String(fields.get(1)), maxMessageBytes: Number(fields.get(3)) };
  }
  if (type === ERROR && content instanceof Buffer) {
    return { command: 'error', message: String(fieldsOf(content).get(3)) };
  }
  throw new Error(`An answer to CONNECT of type ${String(type)}`);
}

/** Protocol buffers, as far as these answers need them: varints and length-delimited fields. */
function fieldsOf(message: Buffer): Map<number, number | Buffer> {
  const fields = new Map<number, number | Buffer>();
  let offset = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message.readUInt8(offset);
      offset += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        return value;
      }
    }
  };
  while (offset < message.length) {
    const tag = varint();
    const value = varint();
    const lengthDelimited = tag % 8 === 2;
    fields.set(Math.floor(tag / 8), lengthDelimited ? message.subarray(offset, offset + value) : value);
    offset += lengthDelimited ? value : 0;
  }
  return fields;
}

function bytes(field: number, content: string | Buffer): Buffer {
  const value = Buffer.from(content);
  const length = value.length < 0x80 ? [value.length] : [(value.length & 0x7f) | 0x80, value.length >> 7];
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...length]), value]);
}
