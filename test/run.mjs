// npm test: sets up, then types, lint, format, and every test; ends with the plain line `N passed, N failed[, N skipped]`.
// Each check counts as one test. Plain JavaScript, for nothing is installed yet when it starts.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const report = join(root, '.cache', 'test-report.json');
const folders = ['agent', 'controller', 'format', 'proto', 'test', 'bench'].filter((folder) =>
  existsSync(join(root, folder)),
);
const count = { passed: 0, failed: 0, skipped: 0 };

function step(name, command, args) {
  process.stdout.write(`\n== ${name}\n`);
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  return result.status === 0;
}

function check(name, command, args) {
  const ok = step(name, command, args);
  count[ok ? 'passed' : 'failed'] += 1;
  if (!ok) process.stdout.write(`FAILED: ${name}\n`);
  return ok;
}

function close() {
  const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
  process.stdout.write(`\n${count.passed} passed, ${count.failed} failed${skipped}\n`);
  process.exit(count.failed > 0 ? 1 : 0);
}

rmSync(join(root, 'dist'), { recursive: true, force: true });
if (
  !check('prepare (dependencies, packages, build: also the check of types)', process.execPath, [
    'bin/prepare.mjs',
    'test',
  ])
)
  close();
check('lint', process.execPath, ['node_modules/oxlint/bin/oxlint', '--type-aware', '--quiet', ...folders]);
check('format', process.execPath, [
  'node_modules/prettier/bin/prettier.cjs',
  '--check',
  '--log-level',
  'warn',
  '.',
]);
mkdirSync(dirname(report), { recursive: true });
rmSync(report, { force: true });
const vitest = [
  'node_modules/vitest/vitest.mjs',
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
];
const ok = step('tests', process.execPath, [...vitest, ...process.argv.slice(2)]);
if (!existsSync(report)) {
  process.stdout.write('FAILED: the test runner left no report\n');
  count.failed += 1;
} else {
  const result = JSON.parse(readFileSync(report, 'utf8'));
  count.passed += result.numPassedTests;
  count.failed += result.numFailedTests;
  count.skipped += result.numPendingTests + result.numTodoTests;
  // A file that could not even be loaded has no test to count, and an unhandled error belongs to none.
  if (!ok && result.numFailedTests === 0) count.failed += Math.max(1, result.numFailedTestSuites ?? 1);
}
close();
