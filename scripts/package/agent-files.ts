/** The agent as it is installed, by package or image: Node.js without its symbols, the addon, one bundled file. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { bundleAgent } from './bundle.ts';
import type { Bundle } from './bundle.ts';
import type { Entry } from './tree.ts';

export const LIB = '/usr/lib/picket';

export interface AgentFiles {
  readonly entries: readonly Entry[];
  readonly licences: Bundle['licences'];
  /** Folder of the npm package that brings Node.js. */
  readonly nodePackage: string;
}

/** `stage`: an existing folder for what is made on the way. Needs strip (binutils) and a built addon. */
export async function agentFiles(root: string, stage: string): Promise<AgentFiles> {
  const node = join(stage, 'node');
  const nodePackage = join(root, `node_modules/node-linux-${process.arch}`);
  const strip = ['--strip-unneeded', '-o', node, join(nodePackage, 'bin/node')];
  execFileSync('strip', strip, { stdio: ['ignore', 'ignore', 'inherit'] });
  const { text, licences } = await bundleAgent(root);
  const entries: readonly Entry[] = [
    { to: `${LIB}/bin/node`, from: node, mode: 0o755 },
    { to: `${LIB}/agent/cli/main.mjs`, content: text },
    { to: `${LIB}/build/picket.node`, from: join(root, 'build/picket.node') },
  ];
  return { entries, licences, nodePackage };
}
