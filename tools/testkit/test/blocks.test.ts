import { describe, expect, it } from 'vitest';
import {
  adamWStep,
  boundedLogDecay,
  centralDifferences,
  concat,
  crossEntropy,
  dot,
  featureMap,
  fromNested,
  gatedRmsNorm,
  l2Norm,
  layerWiseBalanceLoss,
  logSigmoidLogDecay,
  mambaLogDecay,
  nd,
  pooledBalanceLoss,
  rmsNorm,
  rotary,
  rows,
  seededRandom,
  shortConvolution,
  silu,
  softplus,
  topKRouter,
} from '../src/index.ts';

describe('norms', () => {
  it('scale to a root mean square of one, weighted', () => {
    expect(rmsNorm(nd([2], [3, 4]), nd([2], [1, 2]), 0)).toBeCloseRms(
      [3 / 12.5 ** 0.5, 8 / 12.5 ** 0.5],
      1e-15,
      0,
    );
  });

  it('keep epsilon inside the root', () => {
    expect(rmsNorm(nd([1], [1]), undefined, 3)).toBeCloseRms([0.5], 1e-15, 0);
    expect(l2Norm(nd([2], [1, 1]), 2)).toBeCloseRms([0.5, 0.5], 1e-15, 0);
  });

  it('gate after normalising', () => {
    const gated = gatedRmsNorm(nd([2], [3, 4]), nd([2], [0, 2]), undefined, 0, 'sigmoid');
    expect(gated).toBeCloseRms([3 / 12.5 ** 0.5 / 2, 4 / 12.5 ** 0.5 / (1 + Math.exp(-2))], 1e-15, 0);
  });
});

describe('the short convolution', () => {
  const random = seededRandom(3);
  const x = random.normals([7, 2]);
  const weight = random.normals([2, 1, 4]);

  it('has the current token under its last tap and zeros before the start', () => {
    const taps = nd([1, 1, 3], [100, 10, 1]);
    const { y, cache } = shortConvolution(nd([3, 1], [1, 2, 3]), taps, { activation: 'none' });
    expect(y).toBeCloseRms([[1], [12], [123]], 0, 0);
    expect(cache).toBeCloseRms([[1, 2, 3]], 0, 0);
  });

  it.each([1, 2, 5])('continues from a cache after %i tokens', (split) => {
    const whole = shortConvolution(x, weight);
    const first = shortConvolution(rows(x, 0, split), weight);
    const second = shortConvolution(rows(x, split, 7), weight, { cache: first.cache });
    expect(concat([first.y, second.y])).toBeCloseRms(whole.y, 0, 0);
    expect(second.cache).toBeCloseRms(whole.cache, 0, 0);
  });

  it('adds its bias before the activation', () => {
    const { y } = shortConvolution(nd([1, 1], [2]), nd([1, 1, 1], [1]), { bias: nd([1], [1]) });
    expect(y).toBeCloseRms([[silu(3)]], 1e-15, 0);
  });
});

describe('rotary', () => {
  it('turns the halves against each other by position times frequency', () => {
    const turned = rotary(nd([2, 1, 2], [1, 0, 1, 0]), 1);
    expect(turned).toBeCloseRms([[[Math.cos(1), Math.sin(1)]], [[Math.cos(2), Math.sin(2)]]], 1e-15, 0);
  });

  it('leaves products dependent on the distance only', () => {
    const random = seededRandom(5);
    const [q, k] = [random.normals([1, 2, 6]), random.normals([1, 2, 6])];
    expect(dot(rotary(q, 9), rotary(k, 4))).toBeCloseRms(dot(rotary(q, 105), rotary(k, 100)), 1e-12, 0);
  });
});

describe('the router', () => {
  it('keeps the most probable memories and makes their weights sum to one', () => {
    const { selected, weights } = topKRouter(nd([1, 3], [Math.log(1), Math.log(3), Math.log(2)]), 2);
    expect(selected).toBeCloseRms([[1, 2]], 0, 0);
    expect(weights).toBeCloseRms([[3 / 5, 2 / 5]], 1e-15, 0);
  });

  it('prefers the lower number among equals', () => {
    expect(topKRouter(nd([1, 4], [0, 1, 0, 1]), 3).selected).toBeCloseRms([[1, 3, 0]], 0, 0);
  });
});

describe('balance losses', () => {
  it('equal the number of choices at perfect balance', () => {
    const logits = fromNested([
      [9, 9, -9, -9],
      [-9, -9, 9, 9],
    ]);
    expect(pooledBalanceLoss(logits, 2)).toBeCloseRms(2, 1e-7, 0);
    expect(layerWiseBalanceLoss([[logits]], 2)).toBeCloseRms(2, 1e-12, 0);
  });

  it('see an imbalance within a sequence only when taken layer by layer', () => {
    const [left, right] = [fromNested([[50, 0]]), fromNested([[0, 50]])];
    expect(pooledBalanceLoss(concat([left, right]), 1)).toBeCloseRms(1, 1e-12, 0);
    expect(layerWiseBalanceLoss([[left, right]], 1)).toBeCloseRms(2, 1e-12, 0);
  });

  it('leave masked rows out', () => {
    const [real, padding] = [fromNested([[1, 2]]), fromNested([[5, 0]])];
    const expected = pooledBalanceLoss(real, 1);
    expect(pooledBalanceLoss(concat([padding, real]), 1, [0, 1])).toBeCloseRms(expected, 1e-15, 0);
    expect(layerWiseBalanceLoss([[concat([padding, real])]], 1, [[0, 1]])).toBeCloseRms(2, 1e-12, 0);
  });
});

describe('log-decay gates', () => {
  it('follow their definitions', () => {
    const [f, aLog, bias] = [nd([2], [0.5, -1]), nd([2], [0.2, 0.3]), nd([2], [0.1, -0.4])];
    expect(mambaLogDecay(f, aLog, bias)).toBeCloseRms(
      [-Math.exp(0.2) * Math.log(1 + Math.exp(0.6)), -Math.exp(0.3) * Math.log(1 + Math.exp(-1.4))],
      1e-14,
      0,
    );
    expect(logSigmoidLogDecay(f, 8)).toBeCloseRms(
      [Math.log(1 / (1 + Math.exp(-0.5))) / 8, Math.log(1 / (1 + Math.exp(1))) / 8],
      1e-14,
      0,
    );
    expect(boundedLogDecay(f, aLog, bias, -5)).toBeCloseRms(
      [-5 / (1 + Math.exp(-Math.exp(0.2) * 0.6)), -5 / (1 + Math.exp(Math.exp(0.3) * 1.4))],
      1e-14,
      0,
    );
  });

  it('stay finite far out', () => {
    expect(softplus(800)).toBe(800);
    expect(softplus(-800)).toBe(0);
  });
});

describe('feature maps', () => {
  const x = nd([1, 2], [1, -2]);
  const identity = nd([2, 2], [1, 0, 0, 1]);

  it('multiply two linear maps entry by entry', () => {
    const parameters = {
      'layer1.weight': identity,
      'layer1.bias': nd([2], [1, 1]),
      'layer2.weight': identity,
    };
    expect(featureMap('elementwise_product', parameters, x)).toBeCloseRms([[2, 2]], 0, 0);
  });

  it('double the width into a softmax of both signs (hedgehog)', () => {
    const powers = [2, -4, -2, 4].map(Math.exp);
    const sum = powers.reduce((a, b) => a + b);
    expect(featureMap('hedgehog', { 'layer.weight': identity }, x)).toBeCloseRms(
      [powers.map((p) => p / sum)],
      1e-15,
      0,
    );
  });

  it('multiply with rolled copies (dpfp)', () => {
    // [relu, −relu] of (1, −2) = (1, 0, −1, 0); rolls by 1…4 of it.
    expect(featureMap('dpfp', {}, x)).toBeCloseRms(
      [[0, 0, 0, 0, -1, 0, -1, 0, 0, 0, 0, 0, 1, 0, 1, 0]],
      0,
      0,
    );
  });

  it('apply the simple functions', () => {
    expect(featureMap('elu', {}, x)).toBeCloseRms([[2, Math.exp(-2)]], 1e-15, 0);
    expect(featureMap('relu', {}, x)).toBeCloseRms([[1, 0]], 0, 0);
    expect(featureMap('t2r', { 'layer.weight': identity }, x)).toBeCloseRms([[1, 0]], 0, 0);
    expect(featureMap('identity', {}, x)).toBeCloseRms([[1, -2]], 0, 0);
  });
});

describe('cross-entropy', () => {
  const logits = seededRandom(9).normals([4, 3]);
  const labels = [2, -100, 0, 1];

  it('is the mean negative log-probability of the counted labels', () => {
    expect(crossEntropy(nd([2, 2]), [0, -100]).loss).toBeCloseRms(Math.LN2, 1e-15, 0);
    expect(crossEntropy(nd([2, 2]), [-100, -100]).loss).toBe(0);
  });

  it('has the gradient that central differences give', () => {
    const expected = centralDifferences((inputs) => crossEntropy(inputs.logits, labels).loss, { logits });
    expect(crossEntropy(logits, labels).gradient).toBeCloseRms(expected.logits, 1e-8, 0);
  });

  it('survives logits whose probabilities underflow', () => {
    expect(crossEntropy(nd([1, 2], [0, 2000]), [0]).loss).toBe(2000);
  });
});

describe('AdamW', () => {
  it('takes a first step of the learning rate against the gradient, after decay', () => {
    const { parameter } = adamWStep(nd([2], [1, 1]), nd([2], [3, -0.01]), undefined, {
      learningRate: 0.1,
      weightDecay: 0.5,
      epsilon: 0,
    });
    expect(parameter).toBeCloseRms([0.95 - 0.1, 0.95 + 0.1], 1e-14, 0);
  });

  it('corrects the bias of both running means at every step', () => {
    let [parameter, state] = [nd([1], [0]), undefined as ReturnType<typeof adamWStep>['state'] | undefined];
    for (let i = 0; i < 5; i++) {
      ({ parameter, state } = adamWStep(parameter, nd([1], [7]), state, {
        learningRate: 0.1,
        epsilon: 0,
        weightDecay: 0,
      }));
    }
    expect(parameter).toBeCloseRms([-0.5], 1e-12, 0);
  });
});
