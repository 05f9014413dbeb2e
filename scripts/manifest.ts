/**
 * `node scripts/manifest.ts`: writes deploy/picket.yaml, the chart with its default values for those who have no Helm. `--check` fails when
 * the file is not what the chart gives. Needs the helm command.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const TARGET = join(ROOT, 'deploy/picket.yaml');

const HEADER = `# Picket as a DaemonSet: kubectl apply -f deploy/picket.yaml
# Made from deploy/helm/picket by scripts/manifest.ts; change the chart and run: npm run manifest
`;

const chart = execFileSync(
  'helm',
  ['template', 'picket', join(ROOT, 'deploy/helm/picket'), '--namespace', 'kube-system'],
  { encoding: 'utf8' },
);
const text = `${HEADER}${chart}`;

if (!process.argv.includes('--check')) writeFileSync(TARGET, text);
else if (readFileSync(TARGET, 'utf8') !== text) {
  console.error('deploy/picket.yaml is not what the chart gives; run: npm run manifest');
  process.exit(1);
}
