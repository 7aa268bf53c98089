export { StubHealthProbe } from './stub.health-probe.js';
