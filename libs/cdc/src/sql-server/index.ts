export { SqlServerNameError } from './sql-server.errors.js';
