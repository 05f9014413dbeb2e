/**
 * Parsing and oracle together say of random Kubernetes policies what Kubernetes' API text says of the manifests. FC_RUNS sets the
 * number of runs.
 */
import test from 'ava';
import * as fc from 'fast-check';
import type { Resource } from '../../compiler/model/cluster.ts';
import { parseResource } from '../../compiler/model/parse/resource.ts';
import { evaluate } from '../../compiler/oracle/evaluate.ts';
import { explainDecision } from '../../compiler/oracle/explain.ts';
import {
  arbitraryCluster,
  arbitraryClusterPacket,
  clusterObjects,
} from '../support/arbitrary-kubernetes.ts';
import { judge } from '../support/kubernetes-judge.ts';
import { briefIssue } from '../support/manifest.ts';
import { world } from '../support/world.ts';
import { seedCases } from '../support/seed.ts';

seedCases();

const RUNS = Number(process.env['FC_RUNS'] ?? 500);

test('NetworkPolicy and ClusterNetworkPolicy mean what Kubernetes says', (t) => {
  t.timeout(60_000 + RUNS * 100);
  const packets = fc.array(arbitraryClusterPacket, { minLength: 10, maxLength: 30 });
  fc.assert(
    fc.property(arbitraryCluster, packets, (cluster, sent) => {
      const resources = clusterObjects(cluster).map(parseValid);
      const judged = world(resources);
      for (const endpoint of resources.filter((one) => one.kind === 'WorkloadEndpoint')) {
        const pod = cluster.pods.find((one) => `${one.namespace}/${one.name}` === endpoint.id);
        if (pod === undefined) throw new Error(`no pod ${endpoint.id}`);
        for (const direction of ['ingress', 'egress'] as const) {
          for (const packet of sent) {
            // A pod's own end of the packet is its own address.
            const own = endpoint.addresses.find(({ family }) => family === packet.family);
            if (own === undefined) continue;
            const at = { ...packet, [direction === 'ingress' ? 'daddr' : 'saddr']: own };
            const expected = judge({ cluster, pod, direction, packet: at });
            const actual = evaluate(judged, endpoint, direction, at);
            if (actual.verdict === expected) continue;
            const text = `${endpoint.id} ${direction}: expected ${expected}\n${explainDecision(actual)}`;
            throw new Error(`${text}\n${fc.stringify(at)}`);
          }
        }
      }
    }),
    { numRuns: RUNS, includeErrorInReport: true },
  );
  t.pass();
});

/** Throws where anything is found wrong but an exception outside its block. */
function parseValid(object: object): Resource {
  const { value, issues } = parseResource(object, {});
  const errors = issues.filter(({ severity }) => severity === 'error').map(briefIssue);
  if (value === undefined || errors.length > 0) throw new Error(errors.join('; '));
  return value;
}
