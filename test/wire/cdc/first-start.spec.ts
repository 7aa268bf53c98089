import { Injectable, type LoggerService, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { CdcModule, CdcRegistry, OnTableChange } from '@smartpulse/cdc';
import {
  pendingSqlServerMigrations,
  runSqlServerMigrations,
  SqlServerConnectionError,
  type SqlServerCdcOptions,
} from '@smartpulse/cdc/sql-server';
import { STOCK_TABLE } from '@smartpulse/cdc/testing';
import { ResilienceModule, ShutdownCoordinator } from '@smartpulse/resilience';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeCertificates } from '../../support/pulsar/certificates.js';
import { StockServer } from './stock-server.js';

const { certificate, privateKey } = makeCertificates(['localhost', '127.0.0.1']);
let shop: StockServer;
/** What a case starts beside the shop. */
const others: StockServer[] = [];

beforeEach(async () => {
  shop = await StockServer.start();
});
afterEach(async () => {
  await Promise.all([shop, ...others.splice(0)].map((server) => server.stop()));
});

const PROBLEMS: readonly {
  readonly is: string;
  readonly problem: SqlServerConnectionError['problem'];
  readonly url: (url: string) => string;
  readonly says: string;
  readonly failure: 'outage' | 'configuration';
  readonly database?: string;
  readonly tls?: boolean;
  readonly down?: boolean;
}[] = [
  {
    is: 'does not answer',
    problem: 'unreachable',
    url: (url) => url.replace('sa:any', 'cdc:right'),
    down: true,
    says: 'does not answer (ECONNREFUSED). Look at its name, its port,',
    failure: 'outage',
  },
  {
    is: 'refuses the login',
    problem: 'loginFailed',
    url: (url) => url.replace('sa:any', 'cdc:not-right'),
    says: 'refuses the login (error 18456). Correct the user or the password;',
    failure: 'configuration',
  },
  {
    is: 'does not open the database',
    problem: 'databaseNotOpened',
    url: (url) => url.replace('sa:any', 'cdc:right').replace('/shop', '/nowhere'),
    database: 'nowhere',
    says: 'does not open the database (error 4060). Create it, correct its name,',
    failure: 'outage',
  },
  {
    is: 'has a certificate that nobody vouches for',
    problem: 'certificateRefused',
    url: (url) => url.replace('sa:any', 'cdc:right').replace('encrypt=false', 'encrypt=true'),
    tls: true,
    says: 'has a certificate that Node does not accept (UNABLE_TO_VERIFY_LEAF_SIGNATURE). Let Node know its authority by NODE_EXTRA_CA_CERTS',
    failure: 'configuration',
  },
  {
    is: 'wants encryption',
    problem: 'encryptionRequired',
    url: (url) => url.replace('sa:any', 'cdc:right'),
    tls: true,
    says: 'takes no connection without encryption (EENCRYPT). Take encrypt=false out of the URL.',
    failure: 'configuration',
  },
];

/** Hears nothing: it is the start that is looked at. */
@Injectable()
class Idle {
  @OnTableChange(STOCK_TABLE, { consumer: 'idle' })
  on(): void {}
}

/** One app from its start to its first failed attempt and to its end: what it logged, and what its stop reports. */
async function startedInVain(options: Partial<SqlServerCdcOptions>) {
  @Module({ imports: [ResilienceModule.forRoot(), CdcModule.forRoot(shop.replica(options))], providers: [Idle] })
  class AppModule {}
  const said: string[] = [];
  const keep = (message: unknown): void => void said.push(String(message));
  const logger: LoggerService = { log: () => {}, debug: () => {}, verbose: () => {}, warn: keep, error: keep };
  const module = await Test.createTestingModule({ imports: [AppModule] })
    .setLogger(logger)
    .compile();
  await module.init();
  const tracker = module.get(CdcRegistry).get(STOCK_TABLE, 'idle');
  await expect.poll(() => tracker?.state.kind, { timeout: 20_000, interval: 5 }).toBe('failing');
  const { failure } = tracker?.snapshot() ?? {};
  await module.close();
  return { said, failure, report: module.get(ShutdownCoordinator).report };
}

describe('an app that starts on a SQL Server that is not ready', () => {
  it('says at once that the tables of the bookkeeping are missing and how to make them, and ends clean', async () => {
    const { said, failure, report } = await startedInVain({ createBookkeeping: false });

    expect(said).toEqual([
      expect.stringMatching(/^Attempt 1 failed.*SqlServerBookkeepingError: .*npx smartpulse-cdc enable/),
    ]);
    expect(failure).toBe('configuration');
    expect(report.clean).toBe(true);
  });

  it.each(PROBLEMS)('says in one sentence that it $is, and ends clean', async (one) => {
    const tls = one.tls === true ? { certificate, privateKey, required: true } : undefined;
    const server = await StockServer.start(tls === undefined ? {} : { tls });
    others.push(server);
    server.engine.addLogin('cdc', 'right');
    server.database.grants.grant('cdc', 'SELECT', { schema: 'dbo' });
    const url = one.url(server.url);
    const address = `127.0.0.1:${server.server.port}/${one.database ?? 'shop'}`;
    if (one.down === true) {
      await server.server.goDown();
    }
    const { said, failure, report } = await startedInVain({ url });
    const migrations = { name: 'migrations', url, entities: [], migrations: [] };
    const errors = await Promise.all(
      [runSqlServerMigrations(migrations), pendingSqlServerMigrations(migrations)].map((run) =>
        run.catch((thrown: unknown) => thrown),
      ),
    );
    if (one.down === true) {
      await server.server.listenAgain();
    }

    const sentence = `SqlServerConnectionError: SQL Server at ${address} ${one.says}`;
    expect(said[0]).toContain(`Attempt 1 failed`);
    expect(said[0]).toContain(sentence);
    expect(said[0]?.split(/\n/)).toHaveLength(1);
    expect(failure).toBe(one.failure);
    expect(report.clean).toBe(true);
    for (const error of errors) {
      expect(error).toBeInstanceOf(SqlServerConnectionError);
      expect(String(error)).toContain(sentence);
      expect(error).toMatchObject({ problem: one.problem, address });
    }
    expect([...said, ...errors].join(' ')).not.toContain('right');
  });
});
