/** The codes of everything that can be found wrong with an object, one row per code with what it means. Scripts rely on the codes. */

export const ISSUES = {
  // Shape.
  'not-an-object': 'A mapping of fields was expected.',
  'not-a-list': 'A list was expected.',
  'not-a-string': 'Text was expected. Numbers and booleans must be quoted to be text.',
  'not-a-number': 'A finite number was expected.',
  'not-an-integer': 'A whole number was expected.',
  'not-a-boolean': 'true or false was expected.',
  'not-in-list': 'The value is none of the allowed words.',
  'letter-case':
    'The word is known in another spelling of upper and lower case, and was read as that.',
  'unknown-field':
    'The object has a field that Picket does not know: a typing error, or a newer API.',
  'out-of-range': 'The number is below or above what is allowed.',
  'too-long': 'The text has more characters than the API allows.',
  'too-many': 'The list has more entries than the API allows.',
  missing: 'A required field is not there.',
  'more-issues': 'The object has more findings than are listed.',

  // Which object it is.
  'unknown-kind': 'Picket does not use objects of this kind.',
  'unsupported-version': 'The kind is known, but not in this apiVersion.',
  'list-invalid': 'A List without a list of items, or Lists nested too deep.',
  'bad-name': 'A name that Kubernetes does not allow.',
  'name-style': 'A name that the Calico API refuses, but that has a clear meaning.',
  'namespace-default': 'A namespaced object without namespace; "default" is assumed.',
  'namespace-ignored': 'A cluster-scoped object with a namespace; the namespace is ignored.',
  'timestamp-invalid': 'A time that cannot be read.',
  'annotation-invalid': 'An annotation with a meaning, but not readable.',
  'annotation-key': 'An annotation key that Kubernetes does not allow; it is kept as written.',
  'annotations-too-long': 'More than the 256 KiB of annotations that Kubernetes allows.',
  'label-invalid': 'A label key or value that Kubernetes does not allow; it is kept as written.',
  'label-reserved': 'A label that only Picket may set; it was removed or replaced.',

  // Selectors.
  'selector-syntax': 'The selector cannot be parsed.',
  'selector-global': 'global() stands where it may not.',
  'label-selector-invalid':
    'A Kubernetes label selector with an operator and values that do not fit together.',

  // Rules.
  'protocol-invalid': 'Neither a known protocol name nor a number from 1 to 255.',
  'port-invalid': 'Neither a port, nor a range, nor a port name.',
  'port-looks-like-range':
    'A port name that was probably meant as a range; ranges are written with a colon.',
  'ports-without-protocol': 'Port numbers need a protocol that has ports.',
  'ports-with-protocol': 'This protocol has no ports.',
  'net-invalid': 'Not an address prefix.',
  'net-bare-address': 'An address without prefix length; it is read as that one address.',
  'net-host-bits': 'A prefix with host bits set; they are masked away.',
  'net-excludes-all': 'A negated prefix of length 0 excludes every address.',
  'address-invalid': 'Not an IP address.',
  'mixed-families': 'IPv4 and IPv6 in one rule, or against ipVersion.',
  'icmp-without-protocol': 'ICMP fields need protocol ICMP or ICMPv6.',
  'icmp-family': 'ICMP is IPv4 only and ICMPv6 is IPv6 only.',
  'icmp-code-without-type': 'An ICMP code means nothing without a type.',
  'services-conflict': 'services cannot be combined with that field.',
  'services-misplaced':
    'services is allowed in the source of ingress rules and the destination of egress rules.',
  'services-namespace': 'services in a policy without namespace must name one.',
  'http-unsupported': 'HTTP conditions cannot be checked in the kernel.',
  'http-invalid': 'The HTTP condition breaks a rule of the API.',
  'peer-unsupported': 'A kind of peer that Picket cannot match.',
  'peer-conflict': 'Fields of one peer that exclude each other.',
  'except-outside': 'An exception that is not inside its block excludes nothing.',

  // Policies and tiers.
  duplicate: 'The same entry twice.',
  'rules-not-governed': 'Rules of a direction that types leaves out are not used.',
  'pre-dnat-and-untracked': 'preDNAT and doNotTrack exclude each other.',
  'pre-dnat-egress': 'A preDNAT policy with something for egress.',
  'apply-on-forward': 'preDNAT and doNotTrack imply applyOnForward.',
  'staged-delete': 'A staged deletion with further fields.',
  'tier-built-in': 'A built-in tier with other values than its fixed ones.',
  'profile-built-in': 'The built-in profile cannot be changed.',

  // Endpoints.
  'interface-invalid': 'Not a Linux interface name.',
  'interface-missing': 'Nothing says which interface this endpoint has.',
  'source-prefixes-off':
    'The pod asks for more source prefixes, but WorkloadSourceSpoofing is not Any.',
} as const satisfies Record<string, string>;

export type IssueCode = keyof typeof ISSUES;
