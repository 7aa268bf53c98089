import { SqlServerFault } from '../../seam.js';

/** What SQL Server can and the test server cannot: an error of the request that says so. */
export function refusal(what: string): SqlServerFault {
  return new SqlServerFault({
    number: 50_000,
    state: 1,
    class: 16,
    message: `The test server has no ${what}`,
    line: 1,
  });
}
