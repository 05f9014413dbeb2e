/** `picket compile` as a person runs it, for host endpoints: stages, their programs, their chains. */
import test from 'ava';
import { picket } from '../../../support/command.ts';

const HOST = `apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: nic, labels: {role: node}}
spec: {node: n1, interfaceName: eth0}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: web}
spec:
  selector: role == 'node'
  applyOnForward: true
  types: [Ingress]
  ingress: [{action: Allow, protocol: TCP, destination: {ports: [80]}}]
`;

const FILES = { 'host.yaml': HOST };
const ARGS = ['compile', '--manifests', '{dir}', '--node', 'n1', '--emit'] as const;

test('ir: a program per stage, and what becomes of undecided packets', async (t) => {
  const { exitCode, stdout } = await picket([...ARGS, 'ir'], FILES);
  t.is(exitCode, 0);
  const stages = [...stdout.matchAll(/^endpoint nic (\S+) IPv4$/gm)].map(([, stage]) => stage);
  t.deepEqual(stages, ['ingress', 'egress', 'dnat', 'forward-ingress', 'forward-egress']);
  t.regex(
    stdout,
    /forward-ingress IPv6\n.*\n {2}tier default \(end: deny\)\n {4}gnp\/web\n.*\n {2}undecided: goes on/,
  );
});

test('nft: the chains of one host endpoint; of no other name', async (t) => {
  const { stdout } = await picket([...ARGS, 'nft', '--endpoint', 'nic'], FILES);
  t.regex(stdout, /^chain inet picket host-forward-egress\/nic$/m);
  t.notRegex(stdout, /^chain inet picket input$/m);
  const wrong = await picket([...ARGS, 'nft', '--endpoint', 'nix'], FILES);
  t.is(wrong.exitCode, 1);
  t.regex(wrong.stderr, /no endpoint nix on this node; there is: nic/);
});
