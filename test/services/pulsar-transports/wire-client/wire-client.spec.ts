import { afterAll, beforeAll, describe } from 'vitest';
import { runtimeForTests } from '../../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../../support/pulsar/standalone.js';
import { disturbances } from './disturbances.js';
import { messages } from './messages.js';
import { places } from './places.js';
import { subscriptions } from './subscriptions.js';
import { WireScene } from './wire-scene.js';

const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

describe.runIf(runtime !== undefined)('the wire client on a real broker', () => {
  const scene = new WireScene(() => pulsar);

  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
    }
  });
  afterAll(async () => {
    await scene.close();
    await pulsar?.stop();
  });

  describe('messages', () => messages(scene));
  describe('subscriptions and access', () => subscriptions(scene));
  describe('places, partitions and bytes', () => places(() => pulsar));
  describe('disturbances', () => disturbances(scene));
});
