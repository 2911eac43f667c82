import { nd, seededRandom } from '@mnemix/testkit';
import { openBackend, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { joinRows } from '../src/index.ts';
import { float32, runOp } from './op-cases.ts';

describe.each(['cpu', 'wasm'] as const)('joinRows on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it.each([[[2]], [[2, 0, 3]]])('joins parts of %j rows, and gives each its own gradient', async (rows) => {
    const random = seededRandom(5);
    const parts = rows.map((own) => float32(random.normals([own, 3])));
    const total = rows.reduce((a, b) => a + b);
    const dy = float32(random.normals([total, 3]));
    const inputs = Object.fromEntries(parts.map((part, i) => [`p${i}`, part]));
    const { outputs, gradients } = await runOp(inputs, (t) => ({ y: joinRows(Object.values(t)) }), {
      y: dy,
    });
    const whole = nd(
      [total, 3],
      parts.flatMap(({ data }) => [...data]),
    );
    expect(outputs['y']).toEqual(whole);
    let start = 0;
    rows.forEach((own, i) => {
      expect(gradients[`p${i}`]).toEqual(nd([own, 3], dy.data.slice(3 * start, 3 * (start + own))));
      start += own;
    });
  });

  it('says what is wrong with its parts', () => {
    expect(() => joinRows([])).toThrow(/joinRows\(parts\): there are none/);
    expect(() => joinRows([zeros([2, 4]), zeros([2, 3])])).toThrow(
      /joinRows\(part1\): expected shape \[N1=2, 4\]/,
    );
  });
});
