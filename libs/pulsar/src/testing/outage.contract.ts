import type { TransportCase } from './subscription.contract.js';
import { Traffic } from './traffic.js';
import type { PulsarTransportFixture } from './transport-fixture.js';

/** So many that some are on their way, or stored and not answered, when the connection ends. */
const ROUND = 500;

/** What holds when connections end and brokers die with sends on their way. */
export const outageCases: readonly TransportCase[] = [
  {
    title:
      'sends that are on their way when connections are cut are stored, or refused as perhaps stored; what was acknowledged comes, each key in order',
    needs: 'cuts',
    async check(fixture) {
      const traffic = await trafficOf(fixture);
      const sent: Promise<void>[] = [];
      for (let round = 0; round < 10; round++) {
        const before = traffic.received;
        sent.push(traffic.send(ROUND));
        // A transport that does not send again by itself may have had all of them refused by the cut before: nothing more comes then.
        await traffic.until(() => traffic.received > before || traffic.unsettled === 0, 'they come, or are refused');
        await fixture.broker?.cut?.();
      }
      await Promise.all(sent);
      await traffic.goesOn();
      await traffic.check();
    },
  },
  {
    title:
      'sends that are on their way when the broker dies are stored, or refused as perhaps stored; it goes on when the broker is back, and what was acknowledged comes, each key in order',
    needs: 'restarts',
    async check(fixture) {
      const { broker } = fixture;
      const traffic = await trafficOf(fixture);
      await traffic.send(2 * ROUND);
      const inFlight: Promise<void>[] = [];
      do {
        inFlight.push(traffic.send(2 * ROUND));
        await fixture.advance(0);
      } while (traffic.unsettled === 0);
      await broker?.kill?.();
      const later = traffic.send(2 * ROUND);
      await broker?.restart?.();
      await Promise.all([...inFlight, later]);
      await traffic.goesOn();
      await traffic.check();
    },
  },
  {
    title:
      'a producer that is closed while connections are cut settles every send: stored, or refused as perhaps stored',
    needs: 'cuts',
    async check(fixture) {
      const traffic = await trafficOf(fixture);
      const sent = traffic.send(2 * ROUND);
      const closing = traffic.close();
      await fixture.broker?.cut?.();
      await closing;
      await sent;
      await traffic.check();
    },
  },
];

async function trafficOf(fixture: PulsarTransportFixture): Promise<Traffic> {
  const [from, to, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
  const traffic = await Traffic.between({
    from,
    to,
    topic,
    resends: fixture.resends,
    wait: (ms) => fixture.advance(ms),
  });
  // The way is open before anything happens to it.
  await traffic.goesOn();
  return traffic;
}
