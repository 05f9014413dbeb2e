import test from 'ava';
import { digestsOf } from '../../../../agent/guard/digest.ts';
import { NO_HOST_POLICY } from '../../../../agent/state/last-good.ts';
import type { Resource } from '../../../../compiler/model/cluster.ts';
import { hostEndpointStore } from '../../../support/judged-store.ts';

const allow = (port: number): object => ({
  selector: 'all()',
  ingress: [{ action: 'Allow', protocol: 'TCP', destination: { ports: [port] } }],
});

function resources(node: string, policy: object): [string, Resource][] {
  return hostEndpointStore(node, policy).resources();
}

test('equal policies have equal digests, wherever they come from', (t) => {
  const one = resources('n1', allow(80));
  const other = one.map(([key, resource]): [string, Resource] => [`disk:${key}`, resource]);
  t.deepEqual(digestsOf(one, 'n1'), digestsOf(other.toReversed(), 'n1'));
});

test('another rule is another policy', (t) => {
  const [one, other] = [80, 443].map((port) => digestsOf(resources('n1', allow(port)), 'n1'));
  t.not(one?.host, other?.host);
  t.not(one?.policy, other?.policy);
});

test('a policy that selects no host endpoint does not change what governs the host', (t) => {
  const namespaced = { ...allow(80), selector: "app == 'web'" };
  const web = digestsOf(resources('n1', namespaced), 'n1');
  const other = digestsOf(resources('n1', { ...namespaced, order: 5 }), 'n1');
  t.is(web.host, other.host);
  t.not(web.policy, other.policy);
});

test('host endpoints of other nodes do not govern this host', (t) => {
  t.is(digestsOf(resources('n2', allow(80)), 'n1').host, NO_HOST_POLICY);
});
