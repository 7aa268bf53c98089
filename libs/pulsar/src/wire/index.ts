export { WireTransport, type WireTransportParts } from './wire.transport.js';
