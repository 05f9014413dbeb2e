/**
 * The agent as one file. In: agent/cli/main.ts and what it imports. Out: the bundle's text and the licences of the packages whose
 * code is in it. Refuses to know: where the bundle is put.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

export interface Bundle {
  readonly text: string;
  /** Package name and version to the text of its licence, by name. */
  readonly licences: ReadonlyMap<string, string>;
}

/** CommonJS packages in the bundle ask for `node:` modules with `require`, which ES modules do not have. */
const REQUIRE =
  "import { createRequire as bundleRequire } from 'node:module';\nconst require = bundleRequire(import.meta.url);";

/** Throws with esbuild's own words when a file does not parse or resolve. Not minified: stack traces name what people can find. */
export async function bundleAgent(root: string): Promise<Bundle> {
  const result = await build({
    absWorkingDir: root,
    entryPoints: ['agent/cli/main.ts'],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: { js: REQUIRE },
    legalComments: 'none',
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  const folders = new Set(Object.keys(result.metafile.inputs).flatMap(packageFolder));
  const licences = [...folders].sort().map((folder) => licenceOf(root, folder));
  return { text: result.outputFiles[0]?.text ?? '', licences: new Map(licences) };
}

/** `node_modules/a/node_modules/@b/c` for a file below it. */
function packageFolder(path: string): string[] {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.slice(0, 1) ?? [];
}

/** Whoever gets the package gets the text; where a package has none, the name of the licence that it declares. */
function licenceOf(root: string, folder: string): readonly [string, string] {
  const manifest = readFileSync(join(root, folder, 'package.json'), 'utf8');
  const { name, version, license } = JSON.parse(manifest) as Record<string, unknown>;
  const file = readdirSync(join(root, folder)).find((each) =>
    /^(un)?licen[cs]e|^copying/i.test(each),
  );
  const text =
    file === undefined ? String(license) : readFileSync(join(root, folder, file), 'utf8');
  return [`${String(name)} ${String(version)}`, text];
}
