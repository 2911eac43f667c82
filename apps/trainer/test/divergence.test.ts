import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { add, fill, memory, MnemixError, mul, openBackend, Rng, sqrt, sum, tensor1d } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { listCheckpoints } from '../src/checkpoint.ts';
import type { Config } from '../src/config.ts';
import { offenderAmong, offenderAmongNorms } from '../src/divergence.ts';
import { inFolder } from '../src/run-folder.ts';
import { trainingStep } from '../src/training-step.ts';
import { bigramConfig, buildBigram } from './bigram.ts';
import { temporaryFolder } from './folder.ts';
import { runBigram } from './run-bigram.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

describe('a run whose loss is no longer finite', () => {
  it('stops with the step, the offending tensor and the last good checkpoint', async () => {
    const folder = join(temporaryFolder(), 'diverging');
    await runBigram(folder, bigramConfig({ optimizer: { schedule: 'constant' } }), 4);
    const path = inFolder(folder).config;
    const config = JSON.parse(readFileSync(path, 'utf8')) as Config;
    writeFileSync(
      path,
      JSON.stringify({ ...config, optimizer: { ...config.optimizer, learningRate: 1e38 } }),
    );

    const error = await runBigram(folder).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(MnemixError);
    const [good] = await listCheckpoints(inFolder(folder).checkpoints);
    expect(good).toContain('step-00000004');
    expect(error).toMatchObject({ code: 'diverged', where: expect.stringMatching(/^step [5-9]$/) as string });
    expect((error as MnemixError).message).toMatch(
      /the first tensor that is not finite is the (parameter|gradient of) [a-z_.]+ /,
    );
    expect((error as MnemixError).message).toContain(`The last good checkpoint is ${good}.`);
  });
});

describe('a step whose gradient is not finite while its loss is', () => {
  it('names the step and the tensor, and leaves no tensor behind', async () => {
    const parts = await buildBigram(bigramConfig());
    const model: typeof parts.model = {
      ...parts.model,
      loss(params, ids, targets) {
        const result = parts.model.loss(params, ids, targets);
        // 0 · ∞: the root has no slope at 0.
        const nothing = mul(sqrt(sum(mul(params.model.norm.weight, 0))), 0);
        return { ...result, loss: add(result.loss, nothing) };
      },
    };
    const before = memory().numTensors;
    const params = model.init(Rng.of(1));
    const state = { params, optimizer: parts.optimizer.init(params) };
    const batch = parts.task.batch(Rng.of(1), { index: 0, size: 2, split: 'train' });
    const error = await trainingStep(state, batch, { ...parts, model }, undefined).catch(
      (reason: unknown) => reason as MnemixError,
    );
    expect(error).toMatchObject({ code: 'diverged', where: 'step 1' });
    expect((error as MnemixError).message).toContain('the gradient of model.norm.weight (its norm is NaN)');
    // The step has consumed the state.
    expect(memory().numTensors).toBe(before);
  });
});

describe('the offending tensor', () => {
  const good = () => fill([3], 1);
  const bad = () => tensor1d([1, NaN, 2]);

  it('is the first parameter that is not finite, by path', async () => {
    const found = await offenderAmong({ a: good(), layers: [{ w: bad() }, { w: bad() }] }, { a: bad() });
    expect(found).toBe('the parameter layers.0.w (element 1 is NaN)');
  });

  it('is a gradient where all parameters are finite', async () => {
    expect(await offenderAmong({ a: good() }, { a: tensor1d([Infinity]) })).toBe(
      'the gradient of a (element 0 is Infinity)',
    );
  });

  it('can be nobody', async () => {
    expect(await offenderAmong({ a: good() }, { a: good() })).toBeUndefined();
  });

  it('is found among norms too', async () => {
    const params = { a: good(), b: { c: good() } };
    expect(await offenderAmongNorms(params, tensor1d([1, NaN]))).toBe(
      'the gradient of b.c (its norm is NaN)',
    );
  });
});
