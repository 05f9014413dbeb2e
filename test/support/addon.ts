/**
 * The addon under test. In: PICKET_TEST_ADDON, the absolute path of another build of it (sanitizers), or nothing. Out: the loaded
 * addon, and what to say to a child process so that it loads the same.
 */
import { pathToFileURL } from 'node:url';
import { loadNative, type Native } from '../../agent/native/native.ts';
import { projectPath } from './tools.ts';

const OTHER_BUILD = process.env['PICKET_TEST_ADDON'];

/** The addon of this process; the same object at every call. */
export function testAddon(): Native {
  return OTHER_BUILD === undefined ? loadNative() : loadNative(OTHER_BUILD);
}

/** Module code that declares `native`. */
export const LOAD_ADDON = `
  const { loadNative } = await import(${JSON.stringify(pathToFileURL(projectPath('agent/native/native.ts')).href)});
  const native = loadNative(${JSON.stringify(OTHER_BUILD ?? projectPath('build/picket.node'))});
`;
