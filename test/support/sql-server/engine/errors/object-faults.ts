import { type EngineFault, fault } from './fault.js';

const alterDatabaseFailed = (): EngineFault => fault(5069, 16, 1, 'ALTER DATABASE statement failed.');

export const loginFailed = (user: string): EngineFault => fault(18_456, 14, 1, `Login failed for user '${user}'.`);

export const cannotOpenDatabase = (database: string): EngineFault =>
  fault(4060, 11, 1, `Cannot open database "${database}" requested by the login. The login failed.`);

export const noSuchDatabase = (database: string): EngineFault =>
  fault(911, 16, 1, `Database '${database}' does not exist. Make sure that the name is entered correctly.`);

export const noDatabaseAccess = (user: string, database: string): EngineFault =>
  fault(
    916,
    14,
    2,
    `The server principal "${user}" is not able to access the database "${database}" under the current security context.`,
  );

export const readIntentOnly = (database: string): EngineFault =>
  fault(
    978,
    14,
    1,
    `The target database ('${database}') is in an availability group and is currently accessible for connections when the application intent is set to read only. For more information about application intent, see SQL Server Books Online.`,
  );

export const notReadable = (database: string): EngineFault =>
  fault(
    976,
    14,
    1,
    `The target database, '${database}', is participating in an availability group and is currently not accessible for queries. Either data movement is suspended or the availability replica is not enabled for read access. To allow read-only access to this and other databases in the availability group, enable read access to one or more secondary availability replicas in the group.  For more information, see the ALTER AVAILABILITY GROUP statement in SQL Server Books Online.`,
  );

export const permissionDenied = (permission: string, object: string, database: string, schema: string): EngineFault =>
  fault(
    229,
    14,
    5,
    `The ${permission} permission was denied on the object '${object}', database '${database}', schema '${schema}'.`,
  );

export const columnPermissionDenied = (
  permission: string,
  column: string,
  object: string,
  database: string,
  schema: string,
): EngineFault =>
  fault(
    230,
    14,
    1,
    `The ${permission} permission was denied on the column '${column}' of the object '${object}', database '${database}', schema '${schema}'.`,
  );

export const databasePermissionDenied = (permission: string, database: string): EngineFault =>
  fault(262, 14, 1, `${permission} permission denied in database '${database}'.`, [
    fault(297, 16, 1, 'The user does not have permission to perform this action.'),
  ]);

export const alreadyExists = (name: string): EngineFault =>
  fault(2714, 16, 6, `There is already an object named '${name}' in the database.`);

export const databaseInUse = (name: string): EngineFault =>
  fault(3702, 16, 3, `Cannot drop database "${name}" because it is currently in use.`);

export const cannotDrop = (kind: string, name: string): EngineFault =>
  fault(3701, 11, 5, `Cannot drop the ${kind} '${name}', because it does not exist or you do not have permission.`);

export const cannotTruncate = (name: string): EngineFault =>
  fault(4701, 16, 1, `Cannot find the object "${name}" because it does not exist or you do not have permissions.`);

export const cannotAlter = (name: string): EngineFault =>
  fault(4902, 16, 1, `Cannot find the object "${name}" because it does not exist or you do not have permissions.`);

export const cannotGrant = (name: string): EngineFault =>
  fault(15_151, 16, 1, `Cannot find the object '${name}', because it does not exist or you do not have permission.`);

export const noSuchUser = (name: string): EngineFault =>
  fault(15_151, 16, 1, `Cannot find the user '${name}', because it does not exist or you do not have permission.`);

export const noSuchSchema = (name: string): EngineFault =>
  fault(
    2760,
    16,
    1,
    `The specified schema name "${name}" either does not exist or you do not have permission to use it.`,
  );

export const columnExists = (column: string, table: string): EngineFault =>
  fault(
    2705,
    16,
    4,
    `Column names in each table must be unique. Column name '${column}' in table '${table}' is specified more than once.`,
  );

export const nullableKey = (table: string): EngineFault =>
  fault(8111, 16, 1, `Cannot define PRIMARY KEY constraint on nullable column in table '${table}'.`);

export const primaryKeyTracked = (constraint: string, table: string): EngineFault =>
  fault(
    3735,
    16,
    1,
    `The primary key constraint '${constraint}' on table '${table}' cannot be dropped because change tracking is enabled on the table. Change tracking requires a primary key constraint on the table. Disable change tracking before dropping the constraint.`,
    [fault(3727, 16, 0, 'Could not drop constraint. See previous errors.')],
  );

export const trackingOffInDatabase = (database: string, table: string): EngineFault =>
  fault(
    1718,
    16,
    1,
    `Change tracking must be enabled on database '${database}' before it can be enabled on table '${table}'.`,
  );

export const tableAlreadyTracked = (table: string): EngineFault =>
  fault(4996, 16, 1, `Change tracking is already enabled for table '${table}'.`);

export const trackingNeedsKey = (table: string): EngineFault =>
  fault(
    4997,
    16,
    1,
    `Cannot enable change tracking on table '${table}'. Change tracking requires a primary key on the table. Create a primary key on the table before enabling change tracking.`,
  );

export const trackingIsOff = (table: string): EngineFault =>
  fault(4998, 16, 1, `Change tracking is not enabled on table '${table}'.`);

export const trackingOnTimestampKey = (table: string): EngineFault =>
  fault(
    4999,
    16,
    1,
    `Cannot enable change tracking on table '${table}'. Change tracking does not support a primary key of type timestamp on a table.`,
  );

export const databaseAlreadyTracked = (database: string): EngineFault =>
  fault(5088, 16, 1, `Change tracking is already enabled for database '${database}'.`, [alterDatabaseFailed()]);

export const databaseNotTracked = (database: string, state: 1 | 2): EngineFault =>
  fault(
    5089,
    16,
    state,
    `Change tracking is disabled for database '${database}'. Change tracking must be enabled on a database to modify change tracking settings.`,
    [alterDatabaseFailed()],
  );

export const trackingOptionTwice = (option: string): EngineFault =>
  fault(
    5091,
    15,
    1,
    `ALTER DATABASE change tracking option '${option}' was specified more than once. Each option can be specified only once.`,
  );

export const retentionOutOfRange = (option: string): EngineFault =>
  fault(
    5092,
    15,
    1,
    `The value for change tracking option '${option}' is not valid. The value must be between 1 and 2147483647 minutes.`,
  );

export const trackingNotAlone = (): EngineFault =>
  fault(
    22_114,
    16,
    1,
    'Change tracking options for ALTER DATABASE cannot be combined with other ALTER DATABASE options.',
    [alterDatabaseFailed()],
  );

export const tablesStillTracked = (database: string): EngineFault =>
  fault(
    22_115,
    16,
    1,
    `Change tracking is enabled for one or more tables in database '${database}'. Disable change tracking on each table before disabling it for the database. Use the sys.change_tracking_tables catalog view to obtain a list of tables for which change tracking is enabled.`,
    [alterDatabaseFailed()],
  );

export const changeTableNeedsAlias = (): EngineFault =>
  fault(22_104, 16, 1, 'A table returned by the CHANGETABLE function must be aliased.');

export const tableNotTracked = (table: string): EngineFault =>
  fault(22_105, 16, 1, `Change tracking is not enabled on table '${table}'.`);

export const notAUserTable = (name: string): EngineFault =>
  fault(
    22_107,
    16,
    1,
    `Object '${name}' is of a data type that is not supported by the CHANGETABLE function. The object must be a user-defined table.`,
  );

export const contextWithSelect = (): EngineFault =>
  fault(22_108, 16, 1, 'The CHANGE_TRACKING_CONTEXT WITH clause cannot be used with a SELECT statement.');

export const contextType = (): EngineFault =>
  fault(
    22_109,
    16,
    1,
    'The "context" argument for the CHANGE_TRACKING_CONTEXT WITH clause must be of type varbinary data type with a maximum length of 128.',
  );

export const versionArguments = (): EngineFault =>
  fault(22_103, 16, 1, 'The arguments supplied are not valid for the VERSION option of the CHANGETABLE function.');

export const versionColumnCount = (table: string): EngineFault =>
  fault(
    22_110,
    16,
    1,
    `The number of columns specified in the CHANGETABLE(VERSION ...) function does not match the number of primary key columns for table '${table}'.`,
  );

export const versionColumnNotInKey = (column: string, table: string): EngineFault =>
  fault(
    22_111,
    16,
    1,
    `The column '${column}' specified in the CHANGETABLE(VERSION ...) function is not part of the primary key for table '${table}'.`,
  );

export const versionColumnTwice = (column: string): EngineFault =>
  fault(
    22_112,
    16,
    1,
    `Each primary key column must be specified once in the CHANGETABLE(VERSION ...) function. The column '${column}' is specified more than once.`,
  );

export const secondaryReplica = (): EngineFault =>
  fault(
    22_117,
    16,
    1,
    'For databases that are members of a secondary availability replica, change tracking is not supported. Run change tracking queries on the databases in the primary availability replica.',
  );

export { alterDatabaseFailed };
