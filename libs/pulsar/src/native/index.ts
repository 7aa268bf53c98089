export { NativeTransport, type NativeTransportParts } from './native.transport.js';
