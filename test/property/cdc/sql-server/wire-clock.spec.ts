import { playOverTheWire } from './histories-on-sql-server.js';

playOverTheWire('clock', 1);
