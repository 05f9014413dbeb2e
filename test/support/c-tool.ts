/** Programs of test/tools, compiled once. A name comes in, the path of the binary goes out. */
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { execa } from 'execa';
import { projectPath } from './tools.ts';

/** By name, those that this process has asked for. */
const built = new Map<string, Promise<string>>();

/** Compiles when the source is newer. Several test files may do so at once: each renames its own result into place. */
export function buildTool(name: string): Promise<string> {
  const known = built.get(name) ?? build(name);
  built.set(name, known);
  return known;
}

async function build(name: string): Promise<string> {
  const source = projectPath(`test/tools/${name}.c`);
  const binary = projectPath(`build/test/${name}`);
  if (existsSync(binary) && statSync(binary).mtimeMs > statSync(source).mtimeMs) return binary;
  mkdirSync(projectPath('build/test'), { recursive: true });
  const fresh = `${binary}.${process.pid}`;
  const flags = ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror'];
  await execa(process.env['CC'] ?? 'cc', [...flags, '-o', fresh, source]);
  renameSync(fresh, binary);
  return binary;
}
