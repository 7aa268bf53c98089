import { playOnTheEngine } from './histories-on-sql-server.js';

playOnTheEngine('database', 1);
