export type { FirstLevelBounds } from '../cache/first-level.js';
export type { Flight, SharedLoad } from '../cache/local-view.js';
export { LocalView } from '../cache/local-view.js';
export type { CacheStoreSubject } from './cache-store.checks.js';
export { cacheStoreContract } from './cache-store.contract.js';
export { channelTransportContract, type ChannelTransportSubject } from './channel-transport.contract.js';
export { invalidationBusContract, type InvalidationBusSubject } from './invalidation-bus.contract.js';
export { recordStoreContract, type RecordStoreSubject } from './record-store.contract.js';
export { simulate } from './simulator/simulation.js';
export {
  type Invariant,
  SIMULATION_WEIGHTS,
  type SimulatedValue,
  type SimulationOptions,
  type SimulationResult,
  type SimulationWeights,
  type Violation,
} from './simulator/simulation.options.js';
export { LossyChannelTransport } from './twins/lossy.channel-transport.js';
export { LossyInvalidationBus } from './twins/lossy.bus.js';
export { type StoreWeather, UnreliableCacheStore } from './twins/unreliable.store.js';
export { type FieldRule, withoutFieldRule } from './twins/without-field-rule.js';
export { type CacheRule, withoutRule } from './twins/without-rule.js';
export { type CachingReplica, type TwoReplicas, twoReplicasContract } from './two-replicas.contract.js';
export type { FieldsStoreSubject } from './fields-store.checks.js';
export { fieldsStoreContract } from './fields-store.contract.js';
