/**
 * Checks, or with --write fixes, the layout of our C files by .clang-format. Where clang-format is missing it says so and
 * passes, except under REQUIRE_KERNEL=1 (CI), so that the check cannot be skipped everywhere.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
const FOLDERS = ['agent/native', 'test/tools'];

const options = parseArgs({ options: { write: { type: 'boolean', default: false } } }).values;
process.exitCode = run(options.write ? ['-i'] : ['--dry-run', '--Werror']);

/** The exit code. */
function run(mode: readonly string[]): number {
  const result = spawnSync('clang-format', [...mode, ...cFiles()], { cwd: ROOT, stdio: 'inherit' });
  if (result.error === undefined) return result.status ?? 1;
  const required = process.env['REQUIRE_KERNEL'] === '1';
  console.error(`clang-format: ${required ? '' : 'not checked: '}${result.error.message}`);
  return required ? 1 : 0;
}

function cFiles(): readonly string[] {
  return FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => /\.[ch]$/.test(name))
      .map((name) => join(folder, name)),
  );
}
