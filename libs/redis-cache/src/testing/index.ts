export { EntryProtocol } from '../embedded/entry.protocol.js';
