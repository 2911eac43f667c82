import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configJsonSchema } from '../src/config.ts';

const root = join(import.meta.dirname, '..');

interface Node {
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly oneOf?: readonly Node[];
  readonly anyOf?: readonly Node[];
  readonly const?: unknown;
}

const schema = configJsonSchema() as Node;

/** Every key with its path, default and meaning. */
function* keys(node: Node, prefix = ''): Generator<{ path: string; default: string; meaning: string }> {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    if (name === '$schema' || name === 'kind') continue;
    const path = prefix + name;
    const sections = [child, ...(child.oneOf ?? []), ...(child.anyOf ?? [])].filter(
      (node) => node.properties,
    );
    // A section that may be null is a value as well.
    if (sections.length === 0 || child.anyOf)
      yield {
        path,
        default: child.default === undefined ? '' : JSON.stringify(child.default),
        meaning: child.description ?? '',
      };
    for (const section of sections) yield* keys(section, `${path}.`);
  }
}

describe('the schema of the configuration', () => {
  it('is in config.schema.json as `mnemix schema` prints it', () => {
    expect(JSON.parse(readFileSync(join(root, 'config.schema.json'), 'utf8'))).toEqual(schema);
  });

  it('says of every key what it means', () => {
    expect([...keys(schema)].filter(({ meaning }) => meaning === '')).toEqual([]);
  });

  it('is told whole and right in the README', () => {
    const rows = readFileSync(join(root, 'README.md'), 'utf8')
      .split('\n')
      .filter((line) => /^\| `(?!mnemix )/.test(line));
    const cells = rows.map((row) =>
      row
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
    const told = cells.map(([path, value, meaning]) => [path, value, meaning?.replaceAll('\\|', '|')]);
    const expected = [...keys(schema)].map((key) => [
      `\`${key.path}\``,
      key.default && `\`${key.default}\``,
      key.meaning,
    ]);
    expect(told).toEqual(expected);
  });
});
