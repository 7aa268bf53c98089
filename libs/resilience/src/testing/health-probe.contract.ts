import assert from 'node:assert/strict';
import type { HealthProbe } from '../health/health-probe.js';
import type { ContractCase } from './contract.js';

/** What every {@link HealthProbe} promises, whatever the state of its part. */
export function healthProbeContract(create: () => HealthProbe | Promise<HealthProbe>): readonly ContractCase[] {
  return [
    {
      title: 'has a stable name in lower case with dashes',
      async run() {
        const probe = await create();
        assert.match(probe.name, /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/);
      },
    },
    {
      title: 'answers a status with plain details, again and again',
      async run() {
        const probe = await create();
        for (let time = 0; time < 2; time++) {
          const { status, details = {} } = await probe.check(new AbortController().signal);
          assert.ok(['up', 'degraded', 'down'].includes(status), status);
          const plain = Object.values(details).every(
            (value) => value === null || ['string', 'number', 'boolean'].includes(typeof value),
          );
          assert.ok(plain, 'details hold only text, numbers, booleans and null');
        }
      },
    },
    {
      title: 'says whether its part has started, without a throw',
      async run() {
        assert.equal(typeof (await create()).started(), 'boolean');
      },
    },
  ];
}
