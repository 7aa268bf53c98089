import { QueryFailedError } from 'typeorm';
import mssql from 'mssql';
import { describe, expect, it } from 'vitest';
import { LoginWatch } from '../pool/login-watch.js';
import { classifySqlServerError } from './classify.js';
import { SQL_SERVER_ERRORS } from './error-classes.js';

/** An error as tedious makes it of an error token, wrapped as mssql wraps it. */
function requestError(number: number, severity = 16, message = 'said the server'): Error {
  const info = { number, class: severity, state: 1, message, lineNumber: 1, serverName: 's', procName: '' };
  return new mssql.RequestError(Object.assign(new Error(message), { info }), 'EREQUEST');
}

const classOf = (error: unknown) => classifySqlServerError(error).class;

describe('classifySqlServerError', () => {
  it.each([
    [1205, 13, 'contention'],
    [1222, 16, 'contention'],
    [3960, 16, 'contention'],
    [3961, 16, 'contention'],
    [3952, 16, 'snapshotUnavailable'],
    [40613, 17, 'overload'],
    [49918, 16, 'overload'],
    [4060, 11, 'connection'],
    [976, 14, 'connection'],
    [229, 14, 'configuration'],
    [230, 14, 'configuration'],
    [208, 16, 'configuration'],
    [22105, 16, 'configuration'],
    [22117, 16, 'configuration'],
    [102, 15, 'defect'],
    [22104, 15, 'defect'],
  ] as const)('knows %i', (number, severity, expected) => {
    expect(classifySqlServerError(requestError(number, severity))).toMatchObject({ class: expected, number });
  });

  it('goes by severity where the number says nothing: connection gone, resources short, unknown', () => {
    expect(classOf(requestError(99_001, 20))).toBe('connection');
    expect(classOf(requestError(99_001, 24))).toBe('connection');
    expect(classOf(requestError(99_001, 17))).toBe('overload');
    expect(classOf(requestError(99_001, 16))).toBe('unrecognised');
    expect(classOf(requestError(99_001, 11))).toBe('unrecognised');
    expect(classOf(requestError(99_001, 10))).toBe('unknown');
    expect(classOf(new Error('no driver'))).toBe('unknown');
    expect(classOf('text')).toBe('unknown');
  });

  it('names the gravest of several errors that it does not know, the first of equal ones', () => {
    const first = { precedingErrors: [requestError(99_001, 16)] };
    expect(classifySqlServerError(Object.assign(requestError(99_002, 20), first))).toMatchObject({
      class: 'connection',
      number: 99_002,
    });
    expect(classifySqlServerError(Object.assign(requestError(99_002, 16), first))).toMatchObject({
      class: 'unrecognised',
      number: 99_001,
    });
  });

  it('takes a text in the place of the number for none', () => {
    const timeout = Object.assign(
      new mssql.RequestError(new Error('Timeout: Request failed to complete in 15000ms'), 'ETIMEOUT'),
      {
        number: 'ETIMEOUT',
      },
    );
    const reset = Object.assign(
      new mssql.RequestError(Object.assign(new Error('Connection lost'), { code: 'ECONNRESET' })),
      {
        number: 'ECONNRESET',
      },
    );

    expect(classifySqlServerError(timeout)).toMatchObject({ class: 'timeout', number: null, code: 'ETIMEOUT' });
    expect(classifySqlServerError(reset)).toMatchObject({ class: 'connection', number: null });
  });

  it('finds the cause among several errors, of which mssql shows the last', () => {
    const error = Object.assign(requestError(5069, 16), { precedingErrors: [requestError(22105, 16)] });
    expect(classifySqlServerError(error)).toMatchObject({ class: 'configuration', number: 22105 });

    const rolledBack = Object.assign(requestError(3998, 16), { precedingErrors: [requestError(1205, 13)] });
    expect(classifySqlServerError(rolledBack)).toMatchObject({ class: 'contention', number: 1205 });
  });

  it('opens the AggregateError that tedious throws for several errors', () => {
    const of = (number: number) => Object.assign(new Error('x'), { code: 'EREQUEST', number, class: 16 });
    expect(classifySqlServerError(new AggregateError([of(1205), of(3998)]))).toMatchObject({ number: 1205 });
  });

  it('tells a request that took too long from a connection that never stood', () => {
    expect(classOf(new mssql.RequestError(new Error('x'), 'ETIMEOUT'))).toBe('timeout');
    expect(classOf(new mssql.ConnectionError(new Error('x'), 'ETIMEOUT'))).toBe('connection');
    expect(classOf(Object.assign(new Error('no connection came free'), { name: 'TimeoutError' }))).toBe('connection');
  });

  it('has the number of a failed login, which the driver drops, from the messages that preceded it', () => {
    const listeners = new Map<string, (argument: never) => void>();
    const connection = { on: (event: string, listener: (argument: never) => void) => listeners.set(event, listener) };
    const watch = new LoginWatch();
    watch.watch(connection);
    listeners.get('errorMessage')?.({ number: 4060, class: 11, message: 'Cannot open database' } as never);
    listeners.get('errorMessage')?.({ number: 18456, class: 14, message: 'Login failed' } as never);
    const failed = new mssql.ConnectionError(new Error('Login failed.'), 'ELOGIN');

    expect(classifySqlServerError(failed)).toMatchObject({ class: 'configuration', number: null, code: 'ELOGIN' });
    expect(classifySqlServerError(watch.explain(failed))).toMatchObject({ class: 'connection', number: 4060 });
    const other = new mssql.RequestError(new Error('x'), 'ETIMEOUT');
    expect(watch.explain(other)).toBe(other);
  });

  it('looks into a commit that failed because the server had rolled back', () => {
    const aborted = new mssql.TransactionError('Transaction has been aborted.', 'EABORT');
    expect(classOf(aborted)).toBe('contention');
    const withReason = Object.assign(new mssql.TransactionError('Transaction has been aborted.', 'EABORT'), {
      originalError: requestError(229, 14),
    });
    expect(classifySqlServerError(withReason)).toMatchObject({ class: 'configuration', number: 229, code: 'EABORT' });
  });

  it("looks at TypeORM's driverError and not at its copies", () => {
    const error = new QueryFailedError('SELECT 1', [], requestError(1205, 13));
    expect(classifySqlServerError(error)).toMatchObject({ class: 'contention', number: 1205 });
  });

  it('knows a certificate that is not accepted from a server that does not answer, which have one code in tedious', () => {
    const socket = (code: string) => Object.assign(new mssql.ConnectionError('x', 'ESOCKET'), { cause: { code } });
    expect(classifySqlServerError(socket('ECONNREFUSED'))).toMatchObject({ class: 'connection', code: 'ECONNREFUSED' });
    expect(classifySqlServerError(socket('SELF_SIGNED_CERT_IN_CHAIN'))).toMatchObject({
      class: 'configuration',
      code: 'SELF_SIGNED_CERT_IN_CHAIN',
    });
  });

  it('takes a cancelled request for no failure', () => {
    expect(classOf(new mssql.RequestError('Canceled.', 'ECANCEL'))).toBe('cancelled');
  });

  it('lets an app override numbers and codes, and keeps the rest', () => {
    const overrides = {
      numbers: { 1205: 'overload', 50_001: 'contention' },
      severities: { 16: 'overload' },
      codes: { ESOCKET: 'configuration' },
    } as const;
    expect(classifySqlServerError(requestError(1205), overrides).class).toBe('overload');
    expect(classifySqlServerError(requestError(50_001), overrides).class).toBe('contention');
    expect(classifySqlServerError(requestError(99_001, 16), overrides).class).toBe('overload');
    expect(classifySqlServerError(requestError(99_001, 15), overrides).class).toBe('unrecognised');
    expect(classifySqlServerError(requestError(3952), overrides).class).toBe('snapshotUnavailable');
    expect(classifySqlServerError(new mssql.ConnectionError('x', 'ESOCKET'), overrides).class).toBe('configuration');
    const refused = Object.assign(new mssql.ConnectionError('x', 'ESOCKET'), { cause: { code: 'ECONNREFUSED' } });
    expect(classifySqlServerError(refused, overrides)).toMatchObject({ class: 'configuration', code: 'ESOCKET' });
  });

  it('ends on errors that hold one another', () => {
    const first: { cause?: unknown } = new Error('a');
    const second = new Error('b', { cause: first });
    first.cause = second;
    expect(classOf(first)).toBe('unknown');
  });

  it('retries everything that Entity Framework and SqlClient retry', () => {
    const retried = [
      20, 64, 121, 233, 997, 1204, 1205, 1222, 4060, 4221, 10053, 10054, 10060, 10928, 10929, 40020, 40143, 40166,
      40197, 40501, 40540, 40613, 41301, 41302, 41305, 41325, 41839, 42108, 42109, 49918, 49919, 49920,
    ];
    expect(
      retried.filter(
        (number) => !['connection', 'overload', 'contention'].includes(SQL_SERVER_ERRORS.numbers[number] ?? ''),
      ),
    ).toEqual([]);
  });
});
