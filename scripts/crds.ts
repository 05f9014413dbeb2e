/**
 * `node scripts/crds.ts`: writes deploy/crds, the CustomResourceDefinitions of the Calico kinds for a cluster without Calico, one file per
 * kind. `--check` fails when they are not what scripts/crds/kinds.ts says. The API server then refuses what the agent would report.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { KINDS } from './crds/kinds.ts';
import type { Kind } from './crds/kinds.ts';
import { object } from './crds/schema.ts';

const FOLDER = join(import.meta.dirname, '../deploy/crds');
const GROUP = 'projectcalico.org';

const HEADER = '# Made by scripts/crds.ts from scripts/crds/kinds.ts; to change it: npm run crds\n';

function definition({ kind, plural, shortNames, scope, spec, checks, columns = [] }: Kind): object {
  const schema = {
    ...object({
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec,
    }),
    required: ['spec'],
    ...(checks === undefined ? {} : { 'x-kubernetes-validations': checks }),
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}`, labels: { 'app.kubernetes.io/name': 'picket' } },
    spec: {
      group: GROUP,
      scope,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        ...(shortNames.length > 0 ? { shortNames } : {}),
      },
      versions: [
        {
          name: 'v3',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          additionalPrinterColumns: [
            ...columns.map(([name, type, jsonPath]) => ({ name, type, jsonPath })),
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
        },
      ],
    },
  };
}

let stale = 0;
mkdirSync(FOLDER, { recursive: true });
for (const kind of KINDS) {
  const file = join(FOLDER, `${kind.plural}.yaml`);
  const text = HEADER + stringify(definition(kind), { lineWidth: 0, aliasDuplicateObjects: false });
  if (!process.argv.includes('--check')) writeFileSync(file, text);
  else if (readFileSync(file, 'utf8') !== text) {
    console.error(`deploy/crds/${kind.plural}.yaml is not what its schema says; run: npm run crds`);
    stale++;
  }
}
process.exitCode = stale > 0 ? 1 : 0;
