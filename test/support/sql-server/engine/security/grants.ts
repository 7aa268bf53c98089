/** Permissions that this engine knows. CONTROL of an object or of the database covers the others. */
export type Permission =
  | 'SELECT'
  | 'INSERT'
  | 'UPDATE'
  | 'DELETE'
  | 'ALTER'
  | 'REFERENCES'
  | 'EXECUTE'
  | 'VIEW CHANGE TRACKING'
  | 'VIEW DEFINITION'
  | 'VIEW DATABASE STATE'
  | 'VIEW ANY DATABASE'
  | 'CREATE TABLE'
  | 'CREATE SCHEMA'
  | 'CONNECT'
  | 'CONTROL';

export const PERMISSIONS: readonly Permission[] = [
  'SELECT',
  'INSERT',
  'UPDATE',
  'DELETE',
  'ALTER',
  'REFERENCES',
  'EXECUTE',
  'VIEW CHANGE TRACKING',
  'VIEW DEFINITION',
  'VIEW DATABASE STATE',
  'VIEW ANY DATABASE',
  'CREATE TABLE',
  'CREATE SCHEMA',
  'CONNECT',
  'CONTROL',
];

/** On what: an object, some columns of it, a schema, or the whole database. */
export interface Securable {
  readonly schema?: string;
  readonly object?: string;
  readonly column?: string;
}

interface Grant extends Securable {
  readonly user: string;
  readonly permission: Permission;
  readonly denied: boolean;
}

/** Who may do what in a database. A deny wins over any grant, as in SQL Server. */
export class Grants {
  readonly #owners = new Set<string>();
  #grants: readonly Grant[] = [];
  readonly #users = new Set<string>();

  /** Users that are in the database, in lower case. */
  get users(): ReadonlySet<string> {
    return this.#users;
  }

  /** A member of db_owner may do everything. */
  addOwner(user: string): void {
    this.addUser(user);
    this.#owners.add(user.toLowerCase());
  }

  addUser(user: string): void {
    this.#users.add(user.toLowerCase());
  }

  grant(user: string, permission: Permission, on: Securable = {}): void {
    this.#put(user, permission, on, false);
  }

  deny(user: string, permission: Permission, on: Securable = {}): void {
    this.#put(user, permission, on, true);
  }

  revoke(user: string, permission: Permission, on: Securable = {}): void {
    const wanted = lower(on);
    this.#grants = this.#grants.filter(
      (one) =>
        !(one.user === user.toLowerCase() && one.permission === permission) ||
        one.schema !== wanted.schema ||
        one.object !== wanted.object ||
        one.column !== wanted.column,
    );
  }

  isOwner(user: string): boolean {
    return this.#owners.has(user.toLowerCase());
  }

  /** Whether the permission holds on the whole of it; a grant on some columns is not enough. */
  has(user: string, permission: Permission, on: Securable = {}): boolean {
    if (this.isOwner(user)) {
      return true;
    }
    const wanted = lower(on);
    const fitting = this.#grants.filter(
      (one) =>
        one.user === user.toLowerCase() &&
        (one.permission === permission || one.permission === 'CONTROL') &&
        covers(one, wanted),
    );
    return fitting.length > 0 && fitting.every(({ denied }) => !denied);
  }

  /** Whether there is a grant on at least one column of the object. */
  hasOnColumns(user: string, permission: Permission, on: Securable): boolean {
    const wanted = lower(on);
    return this.#grants.some(
      (one) =>
        one.user === user.toLowerCase() &&
        one.permission === permission &&
        !one.denied &&
        one.column !== undefined &&
        one.object === wanted.object &&
        one.schema === wanted.schema,
    );
  }

  /** Whether anything at all is granted on the object: without it the catalog hides it. */
  sees(user: string, on: Securable): boolean {
    return this.isOwner(user) || PERMISSIONS.some((one) => this.has(user, one, on) || this.hasOnColumns(user, one, on));
  }

  #put(user: string, permission: Permission, on: Securable, denied: boolean): void {
    this.addUser(user);
    this.revoke(user, permission, on);
    this.#grants = [...this.#grants, { user: user.toLowerCase(), permission, denied, ...lower(on) }];
  }
}

function covers(grant: Grant, wanted: Securable): boolean {
  if (grant.schema === undefined && grant.object === undefined) {
    // Of the permissions on a database only these reach its objects.
    return grant.permission !== 'VIEW DATABASE STATE' || wanted.object === undefined;
  }
  return (
    grant.schema === wanted.schema &&
    (grant.object === undefined || grant.object === wanted.object) &&
    (grant.column === undefined || grant.column === wanted.column)
  );
}

function lower({ schema, object, column }: Securable): Securable {
  return {
    ...(schema === undefined ? {} : { schema: schema.toLowerCase() }),
    ...(object === undefined ? {} : { object: object.toLowerCase() }),
    ...(column === undefined ? {} : { column: column.toLowerCase() }),
  };
}
