import { VirtualClock } from '@smartpulse/resilience/testing';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PulsarError } from '../pulsar.errors.js';
import type { PulsarToken } from '../pulsar.options.js';
import { AdminHttp } from './admin-http.js';

const servers: Server[] = [];

afterEach(async () => {
  await Promise.all(
    servers.splice(0).map((server) => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    }),
  );
});

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<URL> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

function http(urls: readonly URL[], more: { readonly token?: PulsarToken; readonly clock?: VirtualClock } = {}) {
  return new AdminHttp({
    urls,
    token: more.token,
    tls: undefined,
    timeoutMs: 5_000,
    clock: more.clock ?? new VirtualClock(),
  });
}

const GET = { method: 'GET', path: '/tenants' } as const;
const NOWHERE = new URL('http://127.0.0.1:1');

describe('AdminHttp', () => {
  it.each([
    [401, 'SMARTPULSE_PULSAR_AUTHENTICATION', 'permanent'],
    [403, 'SMARTPULSE_PULSAR_AUTHORIZATION', 'permanent'],
    [404, 'SMARTPULSE_PULSAR_NOT_FOUND', 'permanent'],
    [405, 'SMARTPULSE_PULSAR_NOT_ALLOWED', 'permanent'],
    [409, 'SMARTPULSE_PULSAR_CONFLICT', 'permanent'],
    [412, 'SMARTPULSE_PULSAR_NOT_ALLOWED', 'permanent'],
    [429, 'SMARTPULSE_PULSAR_BROKER', 'transient'],
    [500, 'SMARTPULSE_PULSAR_BROKER', 'transient'],
    [503, 'SMARTPULSE_PULSAR_BROKER', 'transient'],
  ])('makes of status %i an error of code %s, with the reason and without the token', async (status, code, kind) => {
    const url = await serve((_, response) => response.writeHead(status).end('{"reason":"because of it"}'));
    const error: unknown = await http([url], { token: 'secret-token' })
      .send(GET)
      .then(
        () => undefined,
        (caught: unknown) => caught,
      );
    expect(error).toMatchObject({ code, kind, ambiguous: false });
    expect(String(error)).toContain('because of it');
    expect(JSON.stringify(error) + String(error)).not.toContain('secret-token');
  });

  it.each([
    "Can't find owner for topic persistent://public/default/orders",
    'Failed to find ownership for topic:persistent://public/default/orders',
  ])('takes a topic that no broker owns yet for a transient failure: %s', async (reason) => {
    const url = await serve((_, response) => response.writeHead(412).end(JSON.stringify({ reason })));
    const creating = http([url]).send({ method: 'PUT', path: '/persistent/public/default/orders' });
    await expect(creating).rejects.toMatchObject({
      code: 'SMARTPULSE_PULSAR_BROKER',
      kind: 'transient',
      ambiguous: false,
    });
  });

  it('sends the token, each time anew, and the body as JSON', async () => {
    const seen: unknown[] = [];
    const url = await serve((request, response) => {
      request.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
      request.on('end', () => {
        seen.push(request.method, request.url, request.headers.authorization, request.headers['content-type']);
        response.writeHead(204).end();
      });
    });
    const tokens = ['one', 'two'];
    const client = http([url], { token: async () => tokens.shift() ?? '' });
    await client.send({ method: 'PUT', path: '/a', body: { b: 1 } });
    await client.send({ method: 'DELETE', path: '/a' });
    expect(seen).toEqual([
      '{"b":1}',
      'PUT',
      '/admin/v2/a',
      'Bearer one',
      'application/json',
      'DELETE',
      '/admin/v2/a',
      'Bearer two',
      undefined,
    ]);
  });

  it('follows a broker to the owner of a topic with method, body and token', async () => {
    const seen: unknown[] = [];
    const owner = await serve((request, response) => {
      request.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
      request.on('end', () => {
        seen.push(request.method, request.headers.authorization);
        response.end('"done"');
      });
    });
    const url = await serve((request, response) => {
      request.resume();
      response.writeHead(307, { location: new URL(request.url ?? '', owner).href }).end();
    });
    await expect(http([url], { token: 't' }).json({ method: 'POST', path: '/a', body: 3 })).resolves.toBe('done');
    expect(seen).toEqual(['3', 'POST', 'Bearer t']);
  });

  it('does not follow without end', async () => {
    const seen = vi.fn();
    const url = await serve((request, response) => {
      seen();
      response.writeHead(307, { location: request.url }).end();
    });
    await expect(http([url]).send(GET)).rejects.toSatisfy(PulsarError.is);
    expect(seen).toHaveBeenCalledTimes(6);
  });

  it('asks the next address when nobody listens at one, and stays with it', async () => {
    const url = await serve((_, response) => response.end('[]'));
    const client = http([NOWHERE, url]);
    await expect(client.json(GET)).resolves.toEqual([]);
    await expect(client.json(GET)).resolves.toEqual([]);
    await expect(http([NOWHERE, NOWHERE]).send({ ...GET, method: 'PUT' })).rejects.toMatchObject({
      code: 'SMARTPULSE_PULSAR_CONNECTION',
      kind: 'transient',
      ambiguous: false,
    });
  });

  it('asks nobody else when the connection is lost on the way: it may have been done', async () => {
    const other = vi.fn();
    const first = await serve((request) => request.socket.destroy());
    const second = await serve((_, response) => {
      other();
      response.end();
    });
    await expect(http([first, second]).send({ method: 'POST', path: '/a' })).rejects.toMatchObject({
      code: 'SMARTPULSE_PULSAR_CONNECTION',
      ambiguous: true,
    });
    expect(other).not.toHaveBeenCalled();
  });

  it('waits no longer than it may, nor after its caller gave up', async () => {
    const clock = new VirtualClock();
    const url = await serve(() => undefined);
    const late = http([url], { clock }).send({ method: 'PUT', path: '/a' });
    const settled = Promise.allSettled([late]);
    await clock.advance(5_000);
    await settled;
    await expect(late).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_TIMEOUT', ambiguous: true });
    expect(clock.pendingTimers).toBe(0);
    const end = new AbortController();
    const given = http([url], { clock }).send({ ...GET, signal: end.signal });
    end.abort();
    await expect(given).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_ABORTED' });
    expect(clock.pendingTimers).toBe(0);
  });

  it('says so when an answer is no JSON', async () => {
    const url = await serve((_, response) => response.end('<html>'));
    await expect(http([url]).json(GET)).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_BROKER' });
  });
});
