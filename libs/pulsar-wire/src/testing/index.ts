export { messageFrame, storedEntryOf, type StoredEntry } from './message-frame.js';
export { FakeBroker, type FakeBrokerOptions, type Script } from './fake-broker.js';
export { clientOf, type ClientUnderTest, finish, type MovableClock } from './fake-broker.client.js';
export { FakeConnection } from './fake-broker.connection.js';
export { type FakeEntry, FakeSubscription, FakeTopic } from './fake-broker.topic.js';
