// A plugin of `nest build` and `nest start` (nest-cli.json), which compile one app and take the packages that it uses as they were
// built. Without them the compiler would complain about each file by itself and never name the command that is missing.
const { existsSync, globSync, readFileSync } = require('node:fs');
const path = require('node:path');

const root = path.dirname(__dirname);

const unbuilt = globSync(['libs/*/package.json', 'apps/*/contract/package.json'], { cwd: root }).filter((manifest) => {
  const entry = JSON.parse(readFileSync(path.join(root, manifest), 'utf8')).exports?.['.']?.default;
  return entry !== undefined && !existsSync(path.join(root, path.dirname(manifest), entry));
});

if (unbuilt.length > 0) {
  console.error(`The packages that the apps use are not built yet: run "npm run build" once, then try again.`);
  process.exit(1);
}

module.exports = { before: () => () => (sourceFile) => sourceFile };
