export {
  FaultInjectingTransport,
  type FaultPlan,
  type FaultPoint,
  type FaultQuestion,
  injectedFault,
} from './fault-injecting.transport.js';
export { brokerFixture, type BrokerFixtureOptions } from './broker.fixture.js';
export { dedupeStoreContract, type DedupeStoreSubject } from './dedupe-store.contract.js';
export { IN_PROCESS_ACTS, inProcessFixture } from './in-process.fixture.js';
export { pulsarTransportContract } from './pulsar-transport.contract.js';
export { Traffic, type TrafficOptions } from './traffic.js';
export type {
  AccessControl,
  AccessWay,
  BrokerControl,
  PulsarTransportFixture,
  TokenHolder,
} from './transport-fixture.js';
export type { OperatorAct } from './subscription.contract.js';
export { type FakeNativeLog, fakeNativeModule } from './native-client.fake.js';
export {
  type ConsumerName,
  type HarnessParts,
  PulsarHarness,
  type StartableModuleBuilder,
} from './harness/pulsar-harness.js';
export {
  type HarnessOptions,
  type OverridableModuleBuilder,
  overridePulsar,
  type PulsarTestingOptions,
  PulsarTestingModule,
} from './harness/pulsar-testing.module.js';
export { type FaultTarget, HarnessFaults, type PlannedFailure } from './harness/harness-faults.js';
export { RecordedDeadLetter, RecordedMessage } from './harness/harness-records.js';
export { type SettleOptions, type Stillness, UnsettledError } from './harness/stillness.js';
export { type AdminFixture, brokerAdminContract } from './admin.contract.js';
