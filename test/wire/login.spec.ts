import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeCertificates } from '../support/pulsar/certificates.js';
import {
  startTestSqlServer,
  type TestSqlServer,
  type TestSqlServerOptions,
} from '../support/sql-server/start-sql-server.js';
import { FaultScript } from '../support/sql-server/wire/faults/fault-script.js';
import { connect, connectPool, execute } from './clients.js';
import { column, message, numbers, ScriptedEngine } from './scripted-engine.js';

const certificates = makeCertificates(['localhost', '127.0.0.1']);
const LONG = 'x'.repeat(100_000);

let engine: ScriptedEngine;
let server: TestSqlServer;

beforeEach(() => {
  engine = new ScriptedEngine()
    .when(/^one$/, numbers(1))
    .when(/^long$/, column({ name: 'nvarchar', length: 'max', nullable: false }, [LONG]));
});

afterEach(async () => {
  await server.stop();
});

async function start(options: Partial<TestSqlServerOptions> = {}): Promise<void> {
  server = await startTestSqlServer({ engine, ...options });
}

describe('a login', () => {
  it('tells the engine who comes, from where, to which database, and whether only to read', async () => {
    await start();
    const connection = await connect(server, { appName: 'probe', readOnlyIntent: true, workstationId: 'desk' });
    connection.close();
    expect(engine.logins).toEqual([
      {
        user: 'reader',
        password: 'right',
        database: 'shop',
        application: 'probe',
        host: 'desk',
        readOnlyIntent: true,
      },
    ]);
  });

  it('keeps every character of a password', async () => {
    engine.password = 'pä$s "wörd" 🌲';
    await start();
    const pool = await connectPool(server, { password: engine.password });
    await pool.close();
    expect(engine.logins.every(({ password }) => password === engine.password)).toBe(true);
  });

  it('leads to the default database when it names none', async () => {
    await start({ defaultDatabase: 'fallback' });
    const databases: string[] = [];
    const connection = await connect(server, { database: '' }, (opening) => {
      opening.on('databaseChange', (database) => databases.push(database));
    });
    connection.close();
    expect(databases).toEqual(['fallback']);
    expect(engine.logins.map(({ database }) => database)).toEqual(['fallback']);
  });

  it('fails with the number of the reason in a message, and none in the error', async () => {
    await start();
    const numbersSeen: number[] = [];
    engine.password = 'another';
    await expect(
      connect(server, {}, (connection) => {
        connection.on('errorMessage', ({ number }) => numbersSeen.push(number));
      }),
    ).rejects.toMatchObject({ code: 'ELOGIN', message: "Login failed for user 'reader'." });
    expect(numbersSeen).toEqual([18_456]);
    await expect(connectPool(server)).rejects.toMatchObject({ code: 'ELOGIN' });
  });

  it('is tried again by tedious when the database is not there yet', async () => {
    const error = message(4_060, 'Cannot open database "shop" requested by the login.', { class: 11 });
    await start({ faults: new FaultScript().onLogin({ kind: 'error', message: error }, { times: 2 }) });
    const connection = await connect(server, { connectionRetryInterval: 1 });
    connection.close();
    expect(server.acceptedConnections).toBe(3);
    expect(engine.logins).toHaveLength(1);
  });

  it('by Windows authentication is refused', async () => {
    await start();
    await expect(
      connectPool(server, {
        authentication: { type: 'ntlm', options: { domain: 'HOUSE', userName: 'a', password: 'b' } },
      }),
    ).rejects.toMatchObject({ message: expect.stringContaining('untrusted domain') });
  });

  it('hears of every setting that the server chose', async () => {
    await start();
    const infos: number[] = [];
    const connection = await connect(server, { packetSize: 8_192 }, (opening) => {
      opening.on('infoMessage', ({ number }) => infos.push(number));
    });
    expect(infos).toEqual([5_701, 5_703]);
    expect((await execute(connection, 'one')).rows).toEqual([[1]]);
    connection.close();
  });

  it.each([512, 4_096, 32_767])('agrees on packets of %i bytes, both ways', async (packetSize) => {
    await start();
    const connection = await connect(server, { packetSize });
    expect((await execute(connection, 'long')).rows).toEqual([[LONG]]);
    await execute(connection, LONG, { batch: true });
    expect(engine.requests.at(-1)?.sql).toBe(LONG);
    connection.close();
  });
});

describe('encryption', () => {
  const { certificate, privateKey, authority } = certificates;
  const trusting = { encrypt: true, serverName: 'localhost', cryptoCredentialsDetails: { ca: authority } };

  it('covers login and requests when the client asks for it', async () => {
    await start({ tls: { certificate, privateKey } });
    const connection = await connect(server, trusting);
    expect((await execute(connection, 'one')).rows).toEqual([[1]]);
    expect((await execute(connection, 'long')).rows).toEqual([[LONG]]);
    await execute(connection, LONG, { batch: true });
    expect(engine.requests.at(-1)?.sql).toBe(LONG);
    connection.close();
  });

  it('serves pools of mssql', async () => {
    await start({ tls: { certificate, privateKey, required: true } });
    const pool = await connectPool(server, { options: { encrypt: true, trustServerCertificate: true } });
    expect((await pool.request().query<{ value: number }>('one')).recordset).toEqual([{ value: 1 }]);
    await pool.close();
  });

  it('ends the connection of a client that does not know the authority', async () => {
    await start({ tls: { certificate, privateKey } });
    await expect(connect(server, { encrypt: true, serverName: 'localhost' })).rejects.toMatchObject({
      code: 'ESOCKET',
    });
    expect(engine.logins).toEqual([]);
  });

  it('is left out for a client that does not want it, unless it is required', async () => {
    await start({ tls: { certificate, privateKey } });
    const connection = await connect(server);
    connection.close();
    await server.stop();
    await start({ tls: { certificate, privateKey, required: true } });
    await expect(connect(server)).rejects.toMatchObject({ code: 'EENCRYPT' });
  });

  it('is refused by a server without a certificate', async () => {
    await start();
    await expect(connect(server, { encrypt: true, connectTimeout: 2_000 })).rejects.toMatchObject({
      code: 'ESOCKET',
    });
  });
});
