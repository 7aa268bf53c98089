import fc from 'fast-check';
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Request, TYPES } from 'tedious';
import { startTestSqlServer, type TestSqlServer } from '../support/sql-server/start-sql-server.js';
import { WireFormatError } from '../support/sql-server/wire/bytes/byte-reader.js';
import { FaultPlan, type LoginFault } from '../support/sql-server/wire/faults/fault-plan.js';
import { connect, execute } from './clients.js';
import { numbers, ScriptedEngine } from './scripted-engine.js';

/** What a real client sends, in the pieces in which it came. */
let recorded: readonly Buffer[];
let server: TestSqlServer;

beforeAll(async () => {
  recorded = await record();
});

beforeEach(async () => {
  server = await startTestSqlServer({ engine: new ScriptedEngine().when(/one/, numbers(1)) });
});

afterAll(async () => {
  await server.stop();
});

describe('a server that is sent nonsense', () => {
  it('ends that connection at most, says so when it stops, and serves others as before', async () => {
    const healthy = await connect(server);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) }), { minLength: 1, maxLength: 4 }),
        async (where, changes) => {
          const pieces = recorded.map((piece) => Buffer.from(piece));
          const piece = pieces[where % pieces.length]!;
          for (const { at, value } of changes) {
            piece[at % piece.length] = value;
          }
          await say(server.port, pieces);
          expect((await execute(healthy, 'one')).rows).toEqual([[1]]);
        },
      ),
      { numRuns: 80 },
    );
    healthy.close();
    const stopped: unknown = await server.stop().catch((error: unknown) => error);
    expect(stopped).toBeInstanceOf(AggregateError);
    expect((stopped as AggregateError).errors.filter((error) => !(error instanceof WireFormatError))).toEqual([]);
  });

  it('ends a connection that does not begin as TDS does', async () => {
    await say(server.port, [Buffer.from('GET / HTTP/1.1\r\n\r\n')]);
    await expect(server.stop()).rejects.toThrow('Not TDS');
  });

  it('ends a client that sends requests without waiting for replies', async () => {
    const [preLogin, login, ...requests] = recorded as [Buffer, Buffer, ...Buffer[]];
    const silent = await startTestSqlServer({
      engine: new ScriptedEngine().when(/./, async function* ({ signal }) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        yield* [];
      }),
    });
    await say(silent.port, [preLogin, login, ...Array.from({ length: 20 }, () => requests[0]!)]);
    await expect(silent.stop()).rejects.toThrow('sent ahead of their replies');
  });

  it('goes down while it ends some connections and others knock', async () => {
    const [preLogin, login] = recorded as [Buffer, Buffer];
    for (let round = 0; round < 20; round++) {
      const refusing = await startTestSqlServer({ engine: new ScriptedEngine(), faults: new NobodyIn() });
      const sockets = Array.from({ length: 10 }, () => connectSocket(refusing.port, '127.0.0.1'));
      sockets.forEach((socket) => socket.on('error', () => undefined));
      await Promise.all(
        sockets.map(async (socket) => {
          socket.write(preLogin);
          await heard(socket);
        }),
      );
      const answered = Promise.race(sockets.map((socket) => heard(socket)));
      sockets.forEach((socket) => socket.write(login));
      await answered;
      const late = connectSocket(refusing.port, '127.0.0.1');
      late.on('error', () => undefined);
      await refusing.stop();
      expect(refusing.openConnections).toBe(0);
      [...sockets, late].forEach((socket) => socket.destroy());
    }
  });
});

/** Ends every connection behind its answer to the login. */
class NobodyIn extends FaultPlan {
  override atLogin(): LoginFault {
    return { kind: 'error', message: { number: 18_456, state: 1, class: 14, message: 'Login failed.', line: 1 } };
  }
}

/** Sends the pieces, one for each answer or pause, and waits until the server has ended the connection or fallen silent. */
async function say(port: number, pieces: readonly Buffer[]): Promise<void> {
  const socket = connectSocket(port, '127.0.0.1');
  socket.on('error', () => undefined);
  for (const piece of pieces) {
    if (!socket.destroyed) {
      socket.write(piece);
      await heard(socket);
    }
  }
  socket.destroy();
}

function heard(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      socket.off('data', settle);
      socket.off('close', settle);
      resolve();
    };
    const timer = setTimeout(settle, 3);
    socket.on('data', settle);
    socket.on('close', settle);
  });
}

/** Everything that tedious sends for a login, a batch, a call with parameters and a transaction. */
async function record(): Promise<readonly Buffer[]> {
  const real = await startTestSqlServer({ engine: new ScriptedEngine() });
  const pieces: Buffer[] = [];
  const tap = createServer((client) => {
    const upstream = connectSocket(real.port, real.host);
    // The end of the recording may cut either side.
    for (const socket of [client, upstream]) {
      socket.on('error', () => socket.destroy());
    }
    client.on('data', (chunk) => pieces.push(chunk));
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => {
    tap.listen(0, '127.0.0.1', resolve);
  });
  const connection = await connect({ ...real, host: real.host, port: (tap.address() as AddressInfo).port });
  await execute(connection, 'a batch', { batch: true });
  await execute(connection, 'a call', {
    prepare: (request: Request) => {
      request.addParameter('text', TYPES.NVarChar, 'some text');
      request.addParameter('long', TYPES.VarBinary, Buffer.alloc(9_000));
      request.addParameter('number', TYPES.Decimal, 12.5, { precision: 9, scale: 2 });
      request.addParameter('at', TYPES.DateTime2, new Date(0), { scale: 7 });
    },
  });
  await new Promise<void>((resolve, reject) => {
    connection.beginTransaction((error) => (error ? reject(error) : resolve()), 'name');
  });
  connection.close();
  await new Promise<void>((resolve) => {
    tap.close(() => resolve());
  });
  await real.stop();
  return pieces;
}
