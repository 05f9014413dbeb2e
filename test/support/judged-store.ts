/** A store with one host endpoint of a node, on every interface or one, and one policy `gnp/p` for it. */
import { Store } from '../../agent/store/store.ts';

export function hostEndpointStore(node: string, policySpec: object, interfaceName = '*'): Store {
  const store = new Store({ workloadSourceSpoofing: 'Disabled' });
  const apiVersion = 'projectcalico.org/v3';
  const objects = [
    {
      apiVersion,
      kind: 'HostEndpoint',
      metadata: { name: 'host' },
      spec: { node, interfaceName },
    },
    { apiVersion, kind: 'GlobalNetworkPolicy', metadata: { name: 'p' }, spec: policySpec },
  ];
  for (const object of objects) {
    const origin = { source: 'test.yaml', lineOf: () => 1 };
    store.take({ op: 'put', key: `${object.kind}/${object.metadata.name}`, object, origin });
  }
  return store;
}
