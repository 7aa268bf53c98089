import { playOverTheWire } from './histories-on-sql-server.js';

playOverTheWire('database', 1);
