import { playOnTheEngine } from './histories-on-sql-server.js';

playOnTheEngine('clock', 2);
