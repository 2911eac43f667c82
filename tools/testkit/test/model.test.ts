import { describe, expect, it } from 'vitest';
import {
  concat,
  crossEntropy,
  modelForward,
  parametersToFloat64,
  pooledBalanceLoss,
  readModelFixture,
  stack,
  toFloat64,
} from '../src/index.ts';

describe.each(['mom', 'gla', 'delta_net', 'gated_deltanet', 'retnet'])('the model %s', (name) => {
  const { config, params, expected } = readModelFixture(name);
  const parameters = parametersToFloat64(params);
  const ids = [0, 1].map((b) => expected.inputIds.data.subarray(b * 75, (b + 1) * 75));
  const results = ids.map((sequence) => modelForward(parameters, config, sequence));

  it('gives the golden logits', () => {
    expect(stack(results.map((result) => result.logits))).toBeCloseRms(toFloat64(expected.logits), 1e-5, 0);
  });

  it('gives the golden loss', () => {
    const labels = ids.flatMap((sequence) => [...sequence.subarray(1), -100]);
    let { loss } = crossEntropy(concat(results.map((result) => result.logits)), labels);
    if (expected.auxLoss !== undefined) {
      const rows = concat(results.flatMap((result) => result.routerLogits));
      const auxLoss = pooledBalanceLoss(rows, config['topk'] as number);
      expect(auxLoss).toBeCloseRms(expected.auxLoss, 1e-5, 0);
      loss += (config['aux_loss_scale'] as number) * auxLoss;
    }
    expect(loss).toBeCloseRms(expected.loss, 1e-5, 0);
  });
});
