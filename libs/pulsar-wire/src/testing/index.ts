export { messageFrame, storedEntryOf, type StoredEntry } from './message-frame.js';
