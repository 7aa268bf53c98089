export { clockContract, type ClockUnderTest } from './clock.contract.js';
export { type ContractCase, type ContractRunner, runContract } from './contract.js';
export { healthProbeContract } from './health-probe.contract.js';
export { randomContract } from './random.contract.js';
export { SeededRandom } from '../random/seeded.random.js';
export { VirtualClock } from './virtual.clock.js';
