export {
  IN_PROCESS_RETENTION,
  InProcessBroker,
  type InProcessBrokerOptions,
  type InProcessRetention,
} from './in-process.broker.js';
export type { SubscriptionStats } from './in-process.subscription.js';
export type { TopicStats } from './in-process.topic.js';
export { InProcessTransport } from './in-process.transport.js';
