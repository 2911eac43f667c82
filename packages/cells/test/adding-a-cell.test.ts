// docs/adding-a-cell.md: its code is the code of this folder, and what it promises holds.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openBackend } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { movingAverage } from './example/moving-average.ts';
import { movingAverageOracle } from './example/moving-average-oracle.ts';
import { describeOracles } from './oracle-suite.ts';
import { describeProperties } from './property-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const guide = readFileSync(join(import.meta.dirname, '../../../docs/adding-a-cell.md'), 'utf8');
const small = () => movingAverage({ width: 10, heads: 2, expandV: 1.4 });

describe('the guide to adding a cell', () => {
  it.each(['moving-average.ts', 'moving-average-oracle.ts'])('shows %s as it is', (name) => {
    const source = readFileSync(join(import.meta.dirname, 'example', name), 'utf8')
      .replaceAll('../../src/', './')
      .trim();
    expect(guide).toContain(`\`\`\`ts\n${source}\n\`\`\``);
  });
});

describeProperties([{ name: 'moving_average', small }]);
describeOracles([['moving_average', small(), movingAverageOracle, { num_heads: 2 }]]);
