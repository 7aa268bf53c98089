import assert from 'node:assert/strict';
import { PulsarError, type PulsarErrorCode } from '../pulsar.errors.js';
import type { PulsarTransport, TransportConsumer } from '../transport/pulsar.transport.js';
import type { TransportCase } from './subscription.contract.js';
import {
  type AccessControl,
  type AccessWay,
  consume,
  eventually,
  produce,
  type PulsarTransportFixture,
  text,
} from './transport-fixture.js';

/** Who is let in, and who is told why not. */
export const accessCases: readonly TransportCase[] = [
  {
    title: 'is let in with a token, given as a text, a function or a promise, and asks for it again at each connection',
    needs: 'tokens',
    async check(fixture) {
      const access = accessOf(fixture);
      const token = access.token('owner');
      let asked = 0;
      const supplier = (): string => {
        asked++;
        return token;
      };
      for (const given of [token, supplier, supplier, () => Promise.resolve(token)]) {
        await publish(access, { token: given });
      }
      assert.ok(asked >= 2, `asked ${asked} times by two transports`);
    },
  },
  ...(['none', 'forged', 'expired'] as const).map((held): TransportCase => ({
    title: `is told that it is not let in ${held === 'none' ? 'without a token' : `with a token that is ${held}`}, which is not shown`,
    needs: 'tokens',
    async check(fixture) {
      const access = accessOf(fixture);
      const token = held === 'none' ? undefined : access.token(held);
      const code = access.notLetIn ?? 'SMARTPULSE_PULSAR_AUTHENTICATION';
      await refused(publish(access, { token }), code, token);
      await refused(subscribe(access, { token }), code, token);
    },
  })),
  {
    title: 'is told that its role may not: not at all, or publish and not consume',
    needs: 'roles',
    async check(fixture) {
      const access = accessOf(fixture);
      const stranger = { token: access.token('stranger') };
      await refused(publish(access, stranger), 'SMARTPULSE_PULSAR_AUTHORIZATION', stranger.token);
      await refused(subscribe(access, stranger), 'SMARTPULSE_PULSAR_AUTHORIZATION', stranger.token);
      const producer = { token: access.token('producer') };
      await publish(access, producer);
      await refused(subscribe(access, producer), 'SMARTPULSE_PULSAR_AUTHORIZATION', producer.token);
    },
  },
  {
    title: 'publishes and consumes over TLS by an authority that it trusts',
    needs: 'tls',
    async check(fixture) {
      const access = accessOf(fixture);
      await using entered = await enter(access, { token: access.token('owner'), line: 'trusted' });
      const topic = access.topic();
      const heard = await consume(entered.transport, topic);
      await (await produce(entered.transport, topic)).send(text('x'));
      await eventually(fixture, () => heard.texts().includes('x'), 'delivered');
    },
  },
  ...(
    [
      ['unknown authority', 'a certificate of an authority that it does not know'],
      ['wrong name', 'a certificate of another host'],
    ] as const
  ).map(([line, what]): TransportCase => ({
    title: `refuses ${what}, and does not show its token`,
    needs: 'tls',
    async check(fixture) {
      const access = accessOf(fixture);
      const token = access.token('owner');
      await refused(publish(access, { token, line }), 'SMARTPULSE_PULSAR_CONNECTION', token);
      await refused(subscribe(access, { token, line }), 'SMARTPULSE_PULSAR_CONNECTION', token);
    },
  })),
];

interface Entered extends AsyncDisposable {
  readonly transport: PulsarTransport;
}

async function enter(access: AccessControl, way: AccessWay): Promise<Entered> {
  const transport = access.transport(way);
  try {
    await transport.connect();
  } catch (error) {
    await transport.close();
    throw error;
  }
  return { transport, [Symbol.asyncDispose]: () => transport.close() };
}

async function publish(access: AccessControl, way: AccessWay): Promise<void> {
  await using entered = await enter(access, way);
  await (await produce(entered.transport, access.topic(), { sendTimeoutMs: 5_000 })).send(text('x'));
}

async function subscribe(access: AccessControl, way: AccessWay): Promise<TransportConsumer> {
  await using entered = await enter(access, way);
  return (await consume(entered.transport, access.topic())).consumer;
}

async function refused(work: Promise<unknown>, code: PulsarErrorCode, token: string | undefined): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(PulsarError.is(error), String(error));
    assert.equal(error.code, code, String(error));
    for (let one: unknown = error; one instanceof Error; one = one.cause) {
      assert.ok(token === undefined || !`${one.message} ${one.stack}`.includes(token), 'the token is not shown');
    }
    return true;
  });
}

function accessOf({ access }: PulsarTransportFixture): AccessControl {
  assert.ok(access, 'the fixture has ways in');
  return access;
}
