/**
 * Parts that the schemas of several kinds have in common: OpenAPI v3 as CustomResourceDefinitions have it, with CEL rules for what it cannot say.
 * Limits and messages are those of specification sections 1.1 to 1.14 and appendix B. Selectors are text here: only the agent parses them.
 */
export type Schema = Readonly<Record<string, unknown>>;

interface Check {
  /** CEL; true = right. */
  readonly rule: string;
  readonly message: string;
}

export function check(rule: string, message: string): Check {
  return { rule, message };
}

export function object(
  properties: Readonly<Record<string, Schema>>,
  more: { readonly required?: readonly string[]; readonly checks?: readonly Check[] } = {},
): Schema {
  const { required = [], checks = [] } = more;
  return {
    type: 'object',
    ...(required.length > 0 ? { required } : {}),
    properties,
    ...(checks.length > 0 ? { 'x-kubernetes-validations': checks } : {}),
  };
}

export function list(items: Schema, maxItems: number, type: 'atomic' | 'set' = 'atomic'): Schema {
  return { type: 'array', items, maxItems, 'x-kubernetes-list-type': type };
}

export function word(...values: readonly string[]): Schema {
  return { type: 'string', enum: values };
}

export function text(maxLength: number, pattern?: string): Schema {
  return { type: 'string', maxLength, ...(pattern === undefined ? {} : { pattern }) };
}

export const FLAG: Schema = { type: 'boolean' };

export function integer(minimum: number, maximum: number): Schema {
  return { type: 'integer', minimum, maximum };
}

/** Null sorts last. */
export const ORDER: Schema = { type: 'number', nullable: true };

const NO_GLOBAL = 'global() can only be used in an EntityRule namespaceSelector';

/** A selector that says nothing of being outside all namespaces. */
export const SELECTOR: Schema = {
  ...text(1024),
  'x-kubernetes-validations': [check("!self.contains('global(')", NO_GLOBAL)],
};

const ANY_SELECTOR = text(1024);

const NAMESPACE_SELECTOR: Schema = {
  ...text(1024),
  'x-kubernetes-validations': [
    check("!self.contains('global(') || self == 'global()'", 'global() cannot be combined'),
  ],
};

const OCTET = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = `${OCTET}(\\.${OCTET}){3}`;
const IPV6 = `[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(:${IPV4})?`;

/** An address or a prefix; host bits are the agent's to judge. */
export const NET = text(
  49,
  `^(${IPV4}(/(3[0-2]|[12]?[0-9]))?|${IPV6}(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$`,
);
export const IP = text(45, `^(${IPV4}|${IPV6})$`);

/** A number, `first:last`, or the name of a declared port. */
const PORT: Schema = {
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  'x-kubernetes-int-or-string': true,
  // Names of at most 128 characters, numbers, ranges.
  pattern: '^([0-9]{1,5}(:[0-9]{1,5})?|[A-Za-z0-9_.-]{1,128})$',
};

const PROTOCOL: Schema = {
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  'x-kubernetes-int-or-string': true,
  maxLength: 7,
  pattern:
    '^([Tt][Cc][Pp]|[Uu][Dd][Pp]|[Ii][Cc][Mm][Pp]([Vv]6)?|[Ss][Cc][Tt][Pp]|[Uu][Dd][Pp][Ll][Ii][Tt][Ee]|[0-9]{1,3})$',
};

const ICMP = object(
  { type: integer(0, 254), code: integer(0, 255) },
  {
    checks: [
      check('!has(self.code) || has(self.type)', 'ICMP code specified without an ICMP type'),
    ],
  },
);

const NAME = text(253);

const SERVICES_ALONE = [
  check(
    '!has(self.services) || !has(self.namespaceSelector)',
    'cannot specify NamespaceSelector and Services on the same rule',
  ),
  check(
    '!has(self.services) || !has(self.serviceAccounts)',
    'cannot specify ServiceAccounts and Services on the same rule',
  ),
  check(
    '!has(self.services) || !(has(self.selector) || has(self.notSelector))',
    'cannot specify Selector/NotSelector and Services on the same rule',
  ),
  check(
    '!has(self.services) || !(has(self.nets) || has(self.notNets))',
    'cannot specify Nets/NotNets and Services on the same rule',
  ),
];

const ENTITY_FIELDS = {
  nets: list(NET, 256, 'set'),
  notNets: list(NET, 256, 'set'),
  selector: SELECTOR,
  notSelector: ANY_SELECTOR,
  namespaceSelector: NAMESPACE_SELECTOR,
  serviceAccounts: object({ names: list(NAME, 256), selector: ANY_SELECTOR }),
  ports: list(PORT, 50),
  notPorts: list(PORT, 50),
  services: object(
    { name: NAME, namespace: NAME },
    {
      checks: [check('has(self.name) && self.name != ""', 'services must specify a service name')],
    },
  ),
};

const SOURCE = object(ENTITY_FIELDS, { checks: SERVICES_ALONE });
const DESTINATION = object(ENTITY_FIELDS, {
  checks: [
    ...SERVICES_ALONE,
    check(
      '!has(self.services) || !(has(self.ports) || has(self.notPorts))',
      'ports and notPorts cannot be specified with services',
    ),
  ],
});

const HTTP = object({
  methods: list(text(32), 20, 'set'),
  paths: list(
    object(
      { exact: text(1024, '^/[^ ?#]*$'), prefix: text(1024, '^/[^ ?#]*$') },
      { checks: [check('has(self.exact) != has(self.prefix)', 'one of exact and prefix')] },
    ),
    20,
  ),
});

const IS_ICMP =
  "(self.protocol == 'ICMP' || self.protocol == 'ICMPv6' || self.protocol == 1 || self.protocol == 58)";

/** Specification section 1.14. */
const RULE = object(
  {
    action: word('Allow', 'Deny', 'Log', 'Pass'),
    ipVersion: { type: 'integer', enum: [4, 6] },
    protocol: PROTOCOL,
    notProtocol: PROTOCOL,
    icmp: ICMP,
    notICMP: ICMP,
    source: SOURCE,
    destination: DESTINATION,
    http: HTTP,
    metadata: object({
      annotations: { type: 'object', additionalProperties: { type: 'string' } },
    }),
  },
  {
    required: ['action'],
    checks: [
      check(
        `!has(self.icmp) || (has(self.protocol) && ${IS_ICMP})`,
        'ICMP fields require protocol to be ICMP or ICMPv6',
      ),
      ...['protocol', 'notProtocol'].flatMap((field) => [
        check(
          `!has(self.${field}) || type(self.${field}) != int || (self.${field} >= 1 && self.${field} <= 255)`,
          'a protocol number is 1 to 255',
        ),
        check(
          `!has(self.${field}) || !(self.${field} == 'ICMP' || self.${field} == 1) || !has(self.ipVersion) || self.ipVersion == 4`,
          'protocol ICMP requires ipVersion 4',
        ),
        check(
          `!has(self.${field}) || !(self.${field} == 'ICMPv6' || self.${field} == 58) || !has(self.ipVersion) || self.ipVersion == 6`,
          'protocol ICMPv6 requires ipVersion 6',
        ),
      ]),
      check(
        "!has(self.http) || !has(self.protocol) || self.protocol == 'TCP' || self.protocol == 6",
        'rules with HTTP match must have protocol TCP or unset',
      ),
      check("!has(self.http) || self.action == 'Allow'", 'HTTP match is only valid on Allow rules'),
    ],
  },
);

export const RULES = list(RULE, 1024);

export const TYPES: Schema = { ...list(word('Ingress', 'Egress'), 2, 'set'), minItems: 1 };
