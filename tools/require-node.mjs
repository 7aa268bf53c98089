// Runs before every script. A dependency pins Node 24 for `npm run`; when its install script was refused, the machine's
// own Node runs instead, and one that is too old would fail later in ways that say nothing of the cause.
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 22 || (major === 22 && minor < 16)) {
  console.error(
    `Node ${process.versions.node} is too old, this project needs 22.16 or later: run "npm ci" with install scripts allowed ` +
      `(it brings Node 24 for every "npm run"), or install Node 24 and try again.`,
  );
  process.exit(1);
}
