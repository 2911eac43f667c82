// Node's own modules without importing them: bundlers for browsers must not see a `node:` import.

/** True in Node, false in browsers and their workers. */
export const isNode = (): boolean =>
  typeof process === 'object' && typeof process.versions?.node === 'string';

/** One of Node's own modules. Node only. */
export const builtin = <Id extends keyof NodeBuiltins>(id: Id): NodeBuiltins[Id] =>
  process.getBuiltinModule(id) as NodeBuiltins[Id];

interface NodeBuiltins {
  'node:fs': typeof import('node:fs');
  'node:module': typeof import('node:module');
  'node:os': typeof import('node:os');
  'node:path': typeof import('node:path');
  'node:vm': typeof import('node:vm');
  'node:worker_threads': typeof import('node:worker_threads');
}

/** Resolves and loads files of our dependencies. Node only. */
export const nodeRequire = (): NodeJS.Require => builtin('node:module').createRequire(import.meta.url);

/** Logical cores that this process may use. */
export function availableCores(): number {
  if (isNode()) return builtin('node:os').availableParallelism();
  return globalThis.navigator?.hardwareConcurrency ?? 1;
}
