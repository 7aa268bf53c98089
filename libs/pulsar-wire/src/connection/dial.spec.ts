import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialSocket } from './dial.js';
import { SocketIntake } from './intake.js';

describe('dialSocket', () => {
  const server = createServer();
  let port = 0;

  beforeEach(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
    port = (server.address() as AddressInfo).port;
  });

  afterEach(async () => {
    server.close();
    await once(server, 'close');
  });

  async function dialled(intake: SocketIntake) {
    const accepted = once(server, 'connection');
    const stream = await dialSocket()({ host: '127.0.0.1', port, tls: false }, new AbortController().signal, intake);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the event's argument
    return { stream, peer: (await accepted)[0] as Socket };
  }

  it('reads into the intake frame by frame, and tells of the end by the stream', async () => {
    const intake = new SocketIntake();
    const { stream, peer } = await dialled(intake);
    const sizes: number[] = [];
    let reads = 0;
    let chunks = 0;
    intake.listen({
      onRead: () => reads++,
      onFrame: (_bytes, start, end) => sizes.push(end - start),
      onFailed: (error) => stream.destroy(error instanceof Error ? error : undefined),
    });
    stream.on('data', () => chunks++);
    const ended = once(stream, 'end');
    for (const size of [10, 300_000, 1_500_000, 4]) {
      const frame = Buffer.alloc(4 + size, 1);
      frame.writeUInt32BE(size, 0);
      peer.write(frame);
    }
    peer.end();
    await ended;
    expect(sizes).toEqual([10, 300_000, 1_500_000, 4]);
    expect(reads).toBeGreaterThan(0);
    expect(chunks).toBe(0);
    stream.destroy();
  });

  it('tells who listens that what came is no frame, and goes on without harm', async () => {
    const intake = new SocketIntake();
    const { stream, peer } = await dialled(intake);
    const failed = new Promise<unknown>((resolve) => {
      intake.listen({ onRead: () => undefined, onFrame: () => undefined, onFailed: resolve });
    });
    stream.on('data', () => undefined);
    peer.write('HTTP/1.1 400 Bad Request\r\n');
    expect(await failed).toMatchObject({ name: 'FrameTooLargeError' });
    const ended = once(stream, 'end');
    peer.end('more of it');
    await ended;
    stream.destroy();
  });
});
