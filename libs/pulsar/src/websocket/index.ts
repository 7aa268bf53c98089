export { WebSocketTransport, type WebSocketTransportParts } from './websocket.transport.js';
