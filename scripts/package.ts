/**
 * `npm run package`: dist/picket_VERSION_ARCH.deb for this machine's architecture, with Node.js, the addon and the agent as one file.
 * The same sources, tools and SOURCE_DATE_EPOCH (default: the time of the last commit) give the same bytes.
 * Needs dpkg-deb, binutils (which a C compiler brings) and git or SOURCE_DATE_EPOCH.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import manifest from '../package.json' with { type: 'json' };
import { program } from '../agent/cli/program.ts';
import { LIB, agentFiles } from './package/agent-files.ts';
import { bashCompletion } from './package/completion.ts';
import { manPage } from './package/man.ts';
import { dependsOf } from './package/needs.ts';
import { checksums, installedKiB, writeTree, type Entry } from './package/tree.ts';

const ROOT = join(import.meta.dirname, '..');
const DOC = '/usr/share/doc/picket';

/** Debian's names of the architectures that Node.js comes for. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

const EPOCH = sourceDateEpoch();
const { out } = parseArgs({
  options: { out: { type: 'string', default: join(ROOT, 'dist') } },
}).values;
console.log(relative(process.cwd(), await makePackage(out)));

async function makePackage(folder: string): Promise<string> {
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined) throw new Error(`no package for ${process.arch}`);
  mkdirSync(folder, { recursive: true });
  const stage = mkdtempSync(join(folder, '.stage-'));
  try {
    const root = join(stage, 'root');
    const entries = await contents(stage);
    writeTree(root, entries);
    writeTree(root, control(root, entries, architecture));
    const name = `picket_${manifest.version}_${architecture}.deb`;
    run('dpkg-deb', [
      '-Zzstd',
      '-z9',
      '--threads-max=2',
      '--root-owner-group',
      '--build',
      root,
      join(stage, name),
    ]);
    renameSync(join(stage, name), join(folder, name));
    return join(folder, name);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

/** Everything that is installed. */
async function contents(stage: string): Promise<Entry[]> {
  const { entries, licences, nodePackage } = await agentFiles(ROOT, stage);
  const changelog = gzipSync(readFileSync(join(ROOT, 'CHANGELOG.md')), { level: 9 });
  const tree = program();
  const manual = gzipSync(manPage(tree, manifest.version, new Date(Number(EPOCH) * 1000)), {
    level: 9,
  });
  return [
    ...entries,
    { to: `${LIB}/bin/picket`, from: join(ROOT, 'bin/picket'), mode: 0o755 },
    { to: '/usr/bin/picket', link: '../lib/picket/bin/picket' },
    { to: '/etc/picket/picket.yaml', from: join(ROOT, 'packaging/picket.yaml') },
    { to: '/etc/picket/policies', folder: true },
    ...filesOf('systemd', /\.(service|timer|socket|target)$/, '/usr/lib/systemd/system'),
    ...filesOf('examples', /./, `${DOC}/examples`),
    { to: '/usr/share/man/man8/picket.8.gz', content: manual },
    { to: '/usr/share/bash-completion/completions/picket', content: bashCompletion(tree) },
    { to: `${DOC}/changelog.gz`, content: changelog },
    { to: `${DOC}/copyright`, content: copyright(nodePackage, licences) },
  ];
}

/** Files of a folder of the project, with its subfolders; none where there is no such folder. */
function filesOf(folder: string, names: RegExp, to: string): Entry[] {
  const path = join(ROOT, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile() && names.test(each.name))
    .map((each) => join(each.parentPath, each.name))
    .sort()
    .map((from) => ({ to: join(to, relative(path, from)), from }));
}

/** The folder DEBIAN: what dpkg reads. */
function control(root: string, entries: readonly Entry[], architecture: string): Entry[] {
  const depends = dependsOf([join(root, LIB, 'bin/node'), join(root, LIB, 'build/picket.node')]);
  const conffiles = entries.filter(({ to, ...rest }) => to.startsWith('/etc/') && 'from' in rest);
  const fields = [
    'Package: picket',
    `Version: ${manifest.version}`,
    `Architecture: ${architecture}`,
    'Maintainer: The Picket authors <picket@invalid>',
    'Section: net',
    'Priority: optional',
    `Installed-Size: ${installedKiB(root, entries)}`,
    `Depends: ${depends}`,
    'Description: network policies of this machine and its workloads, enforced by nftables',
    ' Picket reads Kubernetes NetworkPolicies and Calico v3 policies, works out which rules govern the',
    ' local workloads and host interfaces, and puts them into the kernel in one transaction.',
    ' It brings its own Node.js and never runs nft.',
  ];
  const scripts = ['postinst', 'prerm', 'postrm'].map((name) => {
    return { to: `/DEBIAN/${name}`, from: join(ROOT, 'packaging', name), mode: 0o755 };
  });
  return [
    { to: '/DEBIAN/control', content: `${fields.join('\n')}\n` },
    { to: '/DEBIAN/conffiles', content: conffiles.map(({ to }) => `${to}\n`).join('') },
    { to: '/DEBIAN/md5sums', content: checksums(root, entries) },
    ...scripts,
  ];
}

/** Whoever gets the package gets the licences of everything in it. */
function copyright(nodePackage: string, licences: ReadonlyMap<string, string>): string {
  const own = readFileSync(join(ROOT, 'LICENSE'), 'utf8');
  const node = readFileSync(join(nodePackage, 'LICENSE'), 'utf8');
  const parts = [['Picket', own], ...licences, ['Node.js', node]] as const;
  return parts.map(([name, text]) => `=== ${name} ===\n\n${text.trimEnd()}\n`).join('\n');
}

function run(command: string, args: readonly string[]): void {
  const env = { ...process.env, SOURCE_DATE_EPOCH: EPOCH };
  execFileSync(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Seconds since 1970, as text: nothing in the package is newer. */
function sourceDateEpoch(): string {
  const given = process.env['SOURCE_DATE_EPOCH'];
  if (given !== undefined) return given;
  return execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' }).trim();
}
