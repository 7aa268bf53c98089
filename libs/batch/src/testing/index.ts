export { type HeldCall, HeldCalls } from './held-calls.js';
