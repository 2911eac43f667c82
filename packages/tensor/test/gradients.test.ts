import { beforeAll, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { derivedGradients, differencedGradients, gradientCases } from './gradient-cases.ts';
import { leaked, onHostBackends } from './support.ts';

onHostBackends('gradients', (backend) => {
  beforeAll(async () => void (await m.openBackend(backend)));

  it.each(gradientCases)('of $name agree with central differences', async (gradientCase) => {
    const derived = await derivedGradients(gradientCase);
    differencedGradients(gradientCase).forEach((expected, i) =>
      expect(derived[i]).toBeCloseRms(expected, 1e-3, 1e-4),
    );
  });

  it('cover every op of ops.ts that is differentiable', async () => {
    const ops = await import('../src/ops.ts');
    const constants = [
      'equal',
      'notEqual',
      'greater',
      'greaterEqual',
      'less',
      'lessEqual',
      'logicalAnd',
      'logicalOr',
      'logicalNot',
      'floor',
      'argMax',
    ];
    const creators = [
      'fill',
      'ones',
      'onesLike',
      'range',
      'scalar',
      'tensor',
      'tensor1d',
      'tensor2d',
      'tensor3d',
      'tensor4d',
      'zeros',
      'zerosLike',
    ];
    const covered = gradientCases.map(({ name }) => name.split(/[ ,]/)[0]);
    expect(
      Object.keys(ops).filter((name) => ![...constants, ...creators, ...covered].includes(name)),
    ).toEqual([]);
  });

  it('leave no tensor behind', () => {
    for (const { inputs, f } of gradientCases) {
      const count = leaked(() => {
        const xs = inputs();
        const { value, grads } = m.valueAndGrad((ps: m.Tensor[]) => {
          const made = f(...ps);
          return { value: m.sum(Array.isArray(made) ? (made[0] as m.Tensor) : made) as m.Scalar };
        })(xs);
        // Constants that a case makes for itself live in its scope.
        return [value, ...grads, ...xs];
      });
      expect(count).toBe(0);
    }
  });
});
