import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { STOCK_TABLE } from '@smartpulse/cdc/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { makeCertificates } from '../../support/pulsar/certificates.js';
import { StockServer } from '../../wire/cdc/stock-server.js';

const COMMAND = resolve(import.meta.dirname, '../../../libs/cdc/bin/smartpulse-cdc.mjs');
const PLAIN = ['CREATE TABLE dbo.stock (id bigint NOT NULL PRIMARY KEY, level int NOT NULL)'];
const started: StockServer[] = [];

afterEach(() => Promise.all(started.splice(0).map((server) => server.stop())));

async function start(options: Parameters<typeof StockServer.start>[0] = {}): Promise<StockServer> {
  const server = await StockServer.start(options);
  started.push(server);
  return server;
}

/** The built command, as `npx` runs it: how it ended, and what it found. */
async function run(word: 'doctor' | 'enable', url: string | undefined) {
  const { DATABASE_URL: _, ...env } = process.env;
  const given = url === undefined ? env : { ...env, DATABASE_URL: url };
  const answer = await promisify(execFile)(process.execPath, [COMMAND, word, STOCK_TABLE, '--json'], {
    env: given,
  }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (error: { readonly code: number; readonly stdout: string }) => error,
  );
  const { findings } = JSON.parse(answer.stdout) as { readonly findings: readonly { readonly code: string }[] };
  return { code: answer.code, found: findings.map(({ code }) => code) };
}

describe('npx smartpulse-cdc, by the built command and the real driver', () => {
  it('finds what is missing, adds it, and finds nothing any more', async () => {
    const { url } = await start({ tables: PLAIN });
    const before = await run('doctor', url);
    expect(before.code).toBe(1);
    expect(before.found).toContain('tableNotTracked');
    expect((await run('enable', url)).code).toBe(0);
    const after = await run('doctor', url);
    expect([after.code, after.found.includes('tableNotTracked')]).toEqual([0, false]);
  });

  it.each([
    ['certificateRefused', (url: string) => url.replace('encrypt=false', 'encrypt=true')],
    ['encryptionRequired', (url: string) => url],
    [
      'loginFailed',
      (url: string) =>
        url.replace('sa:any', 'cdc:not-right').replace('encrypt=false', 'encrypt=true&trustServerCertificate=true'),
    ],
    [
      'databaseNotOpened',
      (url: string) =>
        url.replace('/shop', '/nowhere').replace('encrypt=false', 'encrypt=true&trustServerCertificate=true'),
    ],
  ] as const)('says why it could not look: %s', async (code, urlOf) => {
    const { certificate, privateKey } = makeCertificates(['localhost', '127.0.0.1']);
    const server = await start({ tls: { certificate, privateKey, required: true } });
    server.engine.addLogin('cdc', 'right');
    expect(await run('doctor', urlOf(server.url))).toEqual({ code: 2, found: [code] });
  });

  it('says that nobody told it which database', async () => {
    expect((await run('doctor', undefined)).code).toBe(2);
  });
});
