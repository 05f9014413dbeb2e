/** The annotation `picket/log-allowed` of whatever allows. */
import test from 'ava';
import { parseResource } from '../../../../../compiler/model/parse/resource.ts';

const CONTEXT = { workloadSourceSpoofing: 'Disabled' } as const;

function parse(
  apiVersion: string,
  kind: string,
  value: unknown,
  spec: object,
): ReturnType<typeof parseResource> {
  const annotations = { 'picket/log-allowed': value };
  const metadata = {
    name: 'a',
    ...(kind === 'NetworkPolicy' ? { namespace: 'shop' } : {}),
    annotations,
  };
  return parseResource({ apiVersion, kind, metadata, spec }, CONTEXT);
}

const KINDS: readonly { kind: string; apiVersion: string; spec: object }[] = [
  { kind: 'GlobalNetworkPolicy', apiVersion: 'projectcalico.org/v3', spec: {} },
  { kind: 'NetworkPolicy', apiVersion: 'networking.k8s.io/v1', spec: { podSelector: {} } },
  { kind: 'Profile', apiVersion: 'projectcalico.org/v3', spec: {} },
  { kind: 'Namespace', apiVersion: 'v1', spec: {} },
];

for (const { kind, apiVersion, spec } of KINDS) {
  test(`${kind}: true, false, and what is neither`, (t) => {
    t.like(parse(apiVersion, kind, 'true', spec).value, { logAllowed: true });
    const no = parse(apiVersion, kind, 'false', spec);
    t.like(no.value, { logAllowed: undefined });
    t.deepEqual(no.issues, []);
    const wrong = parse(apiVersion, kind, 'yes', spec);
    t.like(wrong.value, { logAllowed: undefined });
    t.like(wrong.issues[0], {
      severity: 'warning',
      code: 'annotation-invalid',
      path: ['metadata', 'annotations', 'picket/log-allowed'],
    });
  });
}
