/** What Microsoft documents and the grammar does not know. */
export interface UnknownConstruct {
  readonly name: string;
  /** Why it is right all the same: where it is documented. */
  readonly documented: string;
  readonly text: RegExp;
  /** What stands in its place, so that the rest of the statement is still parsed. */
  readonly instead: string;
  /** The construct alone. The grammar must refuse it: one that it has learnt leaves this list. */
  readonly example: string;
}

/** Minimal: each of them is in a statement that is sent, and refused by the grammar. */
export const UNKNOWN_CONSTRUCTS: readonly UnknownConstruct[] = [
  {
    name: 'a doubled bracket inside of a quoted name',
    documented: 'Database identifiers: a right bracket in a delimited identifier is written twice',
    text: /\[(?:[^\]\n]|\]\])*\]\](?:[^\]\n]|\]\])*\]/g,
    instead: '[name]',
    example: 'SELECT r.[odd ]] name] FROM [dbo].[stock] AS r;',
  },
  {
    name: 'the change tracking of a database',
    documented: 'ALTER DATABASE SET options: CHANGE_TRACKING { = OFF | = ON [ ( options ) ] | ( options ) }',
    text: /ALTER DATABASE (?:\[\w+\]|CURRENT) SET CHANGE_TRACKING[^;\n]*/g,
    instead: 'ALTER DATABASE [shop] SET ALLOW_SNAPSHOT_ISOLATION ON',
    example: 'ALTER DATABASE [shop] SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);',
  },
  {
    name: 'the change tracking of a table',
    documented: 'ALTER TABLE: { ENABLE | DISABLE } CHANGE_TRACKING [ WITH ( TRACK_COLUMNS_UPDATED = { ON | OFF } ) ]',
    text: /(ALTER TABLE \S+) (?:ENABLE|DISABLE) CHANGE_TRACKING[^;\n]*/g,
    instead: '$1 ADD one int NULL',
    example: 'ALTER TABLE [dbo].[stock] ENABLE CHANGE_TRACKING;',
  },
  {
    name: 'the context of a change',
    documented: 'WITH CHANGE_TRACKING_CONTEXT ( context ), before INSERT, UPDATE, DELETE, MERGE',
    text: /WITH CHANGE_TRACKING_CONTEXT \(0x[0-9A-F]+\) /g,
    instead: '',
    example: 'WITH CHANGE_TRACKING_CONTEXT (0x01) UPDATE [dbo].[stock] SET level = 1;',
  },
];
