import { describe, expect, it } from 'vitest';
import type { SqlParameter, SqlValue } from '../support/sql-server/seam.js';
import { Statements } from '../support/sql-server/wire/requests/statements.js';

const DECLARED = text('@first int, @second decimal(10, 2) output, @ünnamed_3 nvarchar(max)');
const VALUES = [value(1n), value('2.00'), value('three')];

describe('a remote call', () => {
  it.each(['sp_executesql', 'SP_EXECUTESQL', 'sys.sp_executesql'])(
    'of %s names the values that came without a name by their declarations',
    (procedure) => {
      const parameters = [text('select @first'), DECLARED, ...VALUES];
      expect(new Statements().plan({ procedure, parameters })).toMatchObject({
        kind: 'execute',
        statement: { sql: 'select @first', parameters: named('@first', '@second', '@ünnamed_3') },
      });
    },
  );

  it('keeps the names that came', () => {
    const parameters = [text('q'), text('@a int, @b int'), value(2n, '@b'), value(1n, '@a')];
    expect(new Statements().plan({ procedure: 'sp_executesql', parameters })).toMatchObject({
      statement: { parameters: named('@b', '@a') },
    });
  });

  it('of sp_prepexec prepares and executes, and sp_execute finds it by the handle', () => {
    const statements = new Statements();
    const handle = value(null, '@handle');
    const first = statements.plan({
      procedure: 'sp_prepexec',
      parameters: [handle, text('@a int'), text('q'), value(1n)],
    });
    expect(first).toMatchObject({ kind: 'prepared', handleName: '@handle', handle: 1, statement: { sql: 'q' } });
    expect(statements.plan({ procedure: 'sp_execute', parameters: [value(1n), value(7n)] })).toMatchObject({
      statement: { sql: 'q', parameters: [{ name: '@a', value: 7n }] },
    });
  });

  it('finds no prepared statement after it was unprepared, or after a reset', () => {
    const statements = new Statements();
    const prepare = (): void => {
      statements.plan({ procedure: 'sp_prepare', parameters: [value(null), text(''), text('q')] });
    };
    const execute = (handle: bigint) => () => statements.plan({ procedure: 'sp_execute', parameters: [value(handle)] });
    prepare();
    execute(1n)();
    statements.plan({ procedure: 'sp_unprepare', parameters: [value(1n)] });
    expect(execute(1n)).toThrow('Could not find prepared statement with handle 1.');
    prepare();
    statements.forget();
    expect(execute(2n)).toThrow('Could not find prepared statement with handle 2.');
  });

  it('of a procedure is the batch that calls it, by names or by places', () => {
    const out: SqlParameter = { ...value(null), output: true };
    const plan = (parameters: readonly SqlParameter[]) =>
      new Statements().plan({ procedure: '[dbo].[sum up]', parameters });
    expect(plan([])).toMatchObject({ statement: { sql: 'EXEC [dbo].[sum up]', parameters: [] } });
    expect(plan([value(1n), out])).toMatchObject({
      statement: { sql: 'EXEC [dbo].[sum up] @p0, @p1 OUTPUT', parameters: named('@p0', '@p1') },
    });
    expect(plan([{ ...out, name: '@total' }])).toMatchObject({
      statement: { sql: 'EXEC [dbo].[sum up] @total = @total OUTPUT' },
    });
  });

  it('without its text is told what it lacks', () => {
    const call = (): unknown => new Statements().plan({ procedure: 'sp_executesql', parameters: [value(1n)] });
    expect(call).toThrow("expects parameter '@statement'");
  });
});

function text(content: string): SqlParameter {
  return value(content);
}

function value(content: SqlValue, name = ''): SqlParameter {
  return { name, output: false, type: { name: 'nvarchar', length: 'max', nullable: true }, value: content };
}

function named(...names: readonly string[]): readonly object[] {
  return names.map((name) => expect.objectContaining({ name }));
}
