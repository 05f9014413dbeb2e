import { readFileSync, readdirSync } from 'node:fs';
import test from 'ava';
import { parseAllDocuments } from 'yaml';
import { KnownObjects } from '../../../../agent/kube/known-objects.ts';
import {
  BUILT_IN,
  CALICO,
  CLUSTER_POLICY,
  groupVersionOf,
} from '../../../../agent/kube/resources.ts';
import type { ApiResource } from '../../../../agent/kube/resources.ts';
import { readManifest } from '../../../../agent/watch/manifest-file.ts';
import { KINDS_BY_VERSION } from '../../../../compiler/model/parse/kinds.ts';
import { parseResource } from '../../../../compiler/model/parse/resource.ts';
import { LOG_ALLOWED } from '../../../../compiler/model/parse/well-known.ts';
import { projectPath } from '../../../support/tools.ts';

const ALL: readonly ApiResource[] = [...BUILT_IN, ...CLUSTER_POLICY, ...CALICO.flat()];

const CONTEXT = { workloadSourceSpoofing: 'Any' } as const;

test('what the parser reads is followed, and what is followed is read', (t) => {
  const parsed = [...KINDS_BY_VERSION].flatMap(([version, kinds]) =>
    [...kinds.keys()].map((kind) => `${version} ${kind}`),
  );
  const followed = ALL.map((resource) => `${groupVersionOf(resource)} ${resource.kind}`);
  t.deepEqual(followed.toSorted(), parsed.toSorted());
});

test('a trimmed object means what the whole one means, and is found as wrong', (t) => {
  const cases = readdirSync(projectPath('test/cases'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'lint')
    .map(({ name }) => projectPath(`test/cases/${name}/manifests.yaml`));
  let compared = 0;
  for (const path of cases) {
    for (const { object } of readManifest(readFileSync(path)).objects) {
      const { apiVersion, kind } = object as { apiVersion: string; kind: string };
      const resource = ALL.find((row) => groupVersionOf(row) === apiVersion && row.kind === kind);
      if (resource === undefined) continue;
      const { event } = new KnownObjects(resource).put(object);
      if (event?.op !== 'put') continue;
      const whole = parseResource(object, CONTEXT);
      const trimmed = parseResource(event.object, CONTEXT);
      t.deepEqual(trimmed.value, whole.value, path);
      const found = whole.issues.map(({ code, path: at }) => [code, at]);
      t.deepEqual(
        trimmed.issues.map(({ code, path: at }) => [code, at]),
        found,
        path,
      );
      compared += 1;
    }
  }
  t.true(compared > 500);
});

test('an annotation of ours is not trimmed away', (t) => {
  const annotations = { [LOG_ALLOWED]: 'true' };
  for (const resource of ALL) {
    const metadata = { name: 'a', namespace: 'shop', annotations: { ...annotations, other: 'x' } };
    const { event } = new KnownObjects(resource).put({ metadata, spec: {} });
    t.like(event, { object: { metadata: { annotations } } }, resource.kind);
    t.false(JSON.stringify(event).includes('other'), resource.kind);
  }
});

test('the role that is shipped may read what is followed', (t) => {
  const documents = parseAllDocuments(readFileSync(projectPath('deploy/picket.yaml'), 'utf8'));
  const rules = documents
    .map((document) => document.toJS() as { kind: string; rules: readonly Rule[] })
    .filter(({ kind }) => kind === 'ClusterRole')
    .flatMap((role) => role.rules);
  const lacking = ALL.filter(
    ({ group, plural }) =>
      !rules.some(
        ({ apiGroups, resources, verbs }) =>
          apiGroups.includes(group) &&
          resources.includes(plural) &&
          ['list', 'watch'].every((verb) => verbs.includes(verb)),
      ),
  );
  t.deepEqual(
    lacking.map(({ group, plural }) => `${group}/${plural}`),
    [],
  );
});

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}
