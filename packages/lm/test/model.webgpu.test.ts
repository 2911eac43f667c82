// A whole language model on WebGPU: fla's logits; loss, gradients and steps as on WASM. Its mixture against fla: output and all
// gradients; here, since a software adapter has then compiled most of the pipelines already.
import { gatedDeltaNet } from '@mnemix/cells';
import { mom } from '@mnemix/mom';
import {
  closeBackend,
  disposeTree,
  entries,
  mul,
  openBackend,
  Rng,
  sum,
  tensor,
  tensor1d,
  tidy,
  unflatten,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor,
  type Tensor3D,
  type TensorTree,
} from '@mnemix/tensor';
import { describeOnWebgpu, readLayerFixture, readModelFixture } from '@mnemix/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLm, NO_LABEL, tokenTensor, type LmParams } from '../src/index.ts';
import { loadPretrained } from '../src/node.ts';

type Host = { readonly shape: readonly number[]; readonly data: ArrayLike<number> };
const toHost = async (x: Tensor): Promise<Host> => ({ shape: x.shape, data: await x.data() });

/** The leaves on the host; frees them. */
async function take(tree: TensorTree): Promise<Record<string, Host>> {
  const found: Record<string, Host> = {};
  for (const [path, leaf] of entries(tree)) found[path] = await toHost(leaf);
  disposeTree(tree);
  return found;
}

const model = createLm({
  vocabSize: 7,
  width: 8,
  layers: 2,
  mlp: { hidden: 6 },
  mixer: {
    type: 'mom',
    memories: 3,
    topK: 2,
    cell: { type: 'gated_delta_net', heads: 1, headWidth: 4, expandV: 1 },
  },
});
const [batch, tokens] = [2, 5];

/** Loss, loads and gradients of a batch; logits at once, and a token at a time. */
async function results(): Promise<Record<string, Host>> {
  const params = model.init(Rng.of(1));
  const ids = Array.from(Rng.of(2).integers(batch * tokens, 0, 7));
  const labels = ids.map((_, i) => (i === 3 ? NO_LABEL : (ids[i + 1] ?? NO_LABEL)));
  const shape = [batch, tokens] as const;
  const tree = tidy(() => {
    const input = tokenTensor(ids, shape, 7, 'ids');
    const targets = tokenTensor(labels, shape, 7, 'targets', { besides: NO_LABEL });
    const { value, grads, aux } = valueAndGrad((p: LmParams) => {
      const { loss, ...rest } = model.loss(p, input, targets);
      return { value: loss, aux: { ...rest } as Record<string, Tensor> };
    })(params);
    const { logits, state } = model.forward(params, input);
    const steps: Tensor[] = [];
    let memory = model.initialState(batch);
    for (let t = 0; t < tokens; t++) {
      const column = tensor1d([ids[t]!, ids[tokens + t]!], 'int32');
      const next = model.step(params, column, memory);
      steps.push(next.logits);
      memory = next.state;
    }
    return { value, grads, aux, logits, state, steps, memory } as never;
  }) as TensorTree;
  const taken = await take(tree);
  disposeTree(params);
  return taken;
}

describeOnWebgpu('a language model', (backend) => {
  let wasm: Record<string, Host>;
  let webgpu: Record<string, Host>;
  beforeAll(async () => {
    await openBackend('wasm');
    wasm = await results();
    await openBackend(backend);
    webgpu = await results();
  }, 480_000);
  afterAll(closeBackend);

  it('has the loss, the gradients, the loads and the state that it has on WASM', () => {
    expect(Object.keys(webgpu)).toEqual(Object.keys(wasm));
    for (const [path, expected] of Object.entries(wasm))
      expect(webgpu[path]!, path).toBeCloseRms(expected, path.startsWith('grads') ? 1e-3 : 1e-4);
  });

  it('steps as forward does', () => {
    const { shape, data } = webgpu.logits!;
    const [, , vocabulary = 0] = shape;
    for (let t = 0; t < tokens; t++) {
      const expected = Array.from({ length: batch }, (_, b) => {
        const start = (b * tokens + t) * vocabulary;
        return Array.from(data).slice(start, start + vocabulary);
      }).flat();
      expect(Array.from(webgpu[`steps.${t}`]!.data)).toBeCloseRms(expected, 1e-4);
    }
    for (const [path, leaf] of Object.entries(webgpu).filter(([name]) => name.startsWith('state.')))
      expect(webgpu[path.replace('state', 'memory')]!, path).toBeCloseRms(leaf, 1e-4);
  });

  it('gives the logits of fla', async () => {
    const { folder, expected } = readModelFixture('mom');
    const loaded = await loadPretrained(folder);
    const { data, shape } = expected.inputIds;
    const logits = tidy(() => {
      const ids = tokenTensor(data, shape as [number, number], loaded.model.config.vocabSize, 'ids');
      return loaded.model.forward(loaded.params, ids).logits;
    });
    expect(await toHost(logits)).toBeCloseRms(expected.logits, 1e-4, 0);
    disposeTree({ logits, params: loaded.params as TensorTree });
  }, 480_000);

  it('has a mixture that equals fla: output and all gradients', async () => {
    const golden = readLayerFixture('mom_gated_delta');
    const mixer = mom({
      cell: gatedDeltaNet({ width: 64, heads: 2, headWidth: 16, expandV: 1 }),
      memories: 4,
      topK: 2,
    });
    const result = tidy(() => {
      const params = unflatten(
        mixer.init(Rng.of(1)) as ParamTree,
        Object.fromEntries(
          Object.entries(golden.params).map(([path, t]) => [path, tensor(t.data, [...t.shape])]),
        ),
      );
      const x = tensor(golden.x.data, [...golden.x.shape] as [number, number, number]) as Tensor3D;
      const dy = tensor(golden.dy.data, [...golden.dy.shape]);
      const { grads, aux } = valueAndGrad((tree: { x: Tensor3D; params: ParamTree }) => {
        const { y } = mixer.forward(tree.params as never, tree.x);
        return { value: sum(mul(y, dy)) as Scalar, aux: { y } };
      })({ x, params });
      return { y: aux.y, x: grads.x, params: grads.params } as never;
    }) as { y: Tensor; x: Tensor; params: TensorTree };
    expect(await toHost(result.y)).toBeCloseRms(golden.y, 1e-4, 0);
    expect(await toHost(result.x)).toBeCloseRms(golden.gradients.x, 1e-3, 0);
    for (const [path, leaf] of entries(result.params)) {
      expect(await toHost(leaf), path).toBeCloseRms(golden.gradients.params[path]!, 1e-3, 0);
    }
    disposeTree(result as TensorTree);
  }, 480_000);
});
