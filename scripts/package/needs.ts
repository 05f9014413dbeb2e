/** What an ELF file needs of the system it runs on: shared libraries, and the newest version of each that it refers to. */
import { execFileSync } from 'node:child_process';

/** Debian package of each shared library that may be needed, and the version tags that tell which version of it. */
const LIBRARIES: ReadonlyMap<string, { readonly package: string; readonly tag: string }> = new Map([
  ...[
    'ld-linux-x86-64.so.2',
    'ld-linux-aarch64.so.1',
    'libc.so.6',
    'libm.so.6',
    'libdl.so.2',
    'libpthread.so.0',
  ].map((name) => [name, { package: 'libc6', tag: 'GLIBC' }] as const),
  ['libgcc_s.so.1', { package: 'libgcc-s1', tag: 'GCC' }],
  ['libstdc++.so.6', { package: 'libstdc++6', tag: 'CXXABI' }],
]);

/** First release of GCC, whose number Debian's libstdc++6 has, with a version tag. Source: GCC's manual of the C++ library, "ABI Policy and Guidelines". */
const GCC_OF_CXXABI: Readonly<Record<string, string>> = {
  '1.3.8': '4.9',
  '1.3.9': '5.1',
  '1.3.10': '6.1',
  '1.3.11': '7.1',
  '1.3.12': '9.1',
  '1.3.13': '11.1',
  '1.3.14': '12.1',
  '1.3.15': '14.1',
};

/** The `Depends` line for these files, such as `libc6 (>= 2.34), libgcc-s1`. Throws where one needs a library that is not expected. */
export function dependsOf(files: readonly string[]): string {
  const newest = new Map<string, string>();
  for (const { library, tag, version } of files.flatMap(references)) {
    const known = LIBRARIES.get(library);
    if (known === undefined)
      throw new Error(`a packaged file needs ${library}, which is not expected`);
    const before = newest.get(known.package) ?? '0';
    const after = tag === known.tag ? later(before, version) : before;
    newest.set(known.package, after);
  }
  return [...newest]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, version]) => dependency(name, version))
    .join(', ');
}

function dependency(name: string, version: string): string {
  // Every release since Debian 11 and Ubuntu 20.04 has all of libgcc's versions.
  if (name === 'libgcc-s1') return name;
  const minimum = name === 'libstdc++6' ? GCC_OF_CXXABI[version] : version;
  if (minimum === undefined) throw new Error(`CXXABI_${version} is of an unknown GCC`);
  return `${name} (>= ${minimum})`;
}

interface Reference {
  readonly library: string;
  readonly tag: string;
  readonly version: string;
}

/** From `objdump -p`: lines `required from LIBRARY:` and below each `0x… 0x00 05 GLIBC_2.34`. */
function references(file: string): Reference[] {
  const text = execFileSync('objdump', ['-p', file], { encoding: 'utf8', maxBuffer: 1 << 24 });
  const found: Reference[] = [];
  let library = '';
  for (const line of text.split('\n')) {
    const needed = /^ *NEEDED +(\S+)/.exec(line)?.[1];
    if (needed !== undefined) found.push({ library: needed, tag: '', version: '0' });
    library = /^ *required from (.*):$/.exec(line)?.[1] ?? library;
    const [, tag, version] = /^ +0x\S+ +0x\S+ +\d+ +([A-Z]+)_([\d.]+)$/.exec(line) ?? [];
    if (tag !== undefined && version !== undefined) found.push({ library, tag, version });
  }
  return found;
}

function later(a: string, b: string): string {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  for (let i = 0; i < 4; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference > 0 ? a : b;
  }
  return a;
}
