export {
  FaultInjectingTransport,
  type FaultPlan,
  type FaultPoint,
  type FaultQuestion,
  injectedFault,
} from './fault-injecting.transport.js';
export { brokerFixture, type BrokerFixtureOptions } from './broker.fixture.js';
export { IN_PROCESS_ACTS, inProcessFixture } from './in-process.fixture.js';
export { pulsarTransportContract } from './pulsar-transport.contract.js';
export type { BrokerControl, PulsarTransportFixture } from './transport-fixture.js';
export type { OperatorAct } from './subscription.contract.js';
export { type FakeNativeLog, fakeNativeModule } from './native-client.fake.js';
