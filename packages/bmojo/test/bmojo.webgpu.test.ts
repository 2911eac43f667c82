// The layer on WebGPU: outputs, states and gradients as on WASM, which the other tests hold against float64.
import { cells } from '@mnemix/cells';
import { asMixer, type Mixer } from '@mnemix/layers';
import {
  closeBackend,
  disposeTree,
  flatten,
  mul,
  openBackend,
  Rng,
  sum,
  tensor,
  tidy,
  unflatten,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor,
  type Tensor3D,
} from '@mnemix/tensor';
import { describeOnWebgpu, nd, type NdArray } from '@mnemix/testkit';
import { afterAll, expect, it, vi } from 'vitest';
import { bmojo, type EideticReport } from '../src/index.ts';
import { cases, width } from './cases.ts';

// A software adapter takes a while to compile its first pipelines.
vi.setConfig({ testTimeout: 300_000 });

type Values = Readonly<Record<string, NdArray>>;
const TOKENS = 11;

/** Parameters [path] and input, drawn on the host so that both backends have the same. */
function drawn(mixer: Mixer): { params: Values; x: NdArray; dy: NdArray } {
  const like = mixer.init(Rng.of(1));
  const params = Object.fromEntries(
    Object.entries(flatten(like)).map(([path, { shape, size }]) => [
      path,
      nd(shape, Rng.of(3).fold(path).normalArray(size, 0, 0.4)),
    ]),
  );
  disposeTree(like);
  const draw = (seed: number) => nd([2, TOKENS, width], Rng.of(seed).normalArray(2 * TOKENS * width));
  return { params, x: draw(2), dy: draw(4) };
}

const toTensor = ({ data, shape }: NdArray): Tensor => tensor(Float32Array.from(data), [...shape]);

/** A batch of packed sequences and, from its state, a step: outputs, states, what is held, gradients. */
async function run(mixer: Mixer, { params, x, dy }: ReturnType<typeof drawn>): Promise<Values> {
  const results = tidy(() => {
    const tree = unflatten(
      mixer.init(Rng.of(1)) as ParamTree,
      Object.fromEntries(Object.entries(params).map(([path, value]) => [path, toTensor(value)])),
    );
    const segments = [
      { row: 0, start: 0, length: 9 },
      { row: 1, start: 2, length: 0 },
      { row: 1, start: 2, length: 6 },
    ];
    const weights = toTensor(dy) as Tensor3D;
    const { grads, aux } = valueAndGrad((at: { x: Tensor3D; params: ParamTree }) => {
      const first = mixer.forward(at.params, at.x, { segments });
      const { y, state } = mixer.forward(at.params, at.x, { segments, state: first.state });
      const { eidetic } = first.aux as { eidetic?: EideticReport };
      const value = sum(mul(y, weights)) as Scalar;
      return { value, aux: { first: first.y, y, state, held: eidetic?.positions } };
    })({ x: toTensor(x) as Tensor3D, params: tree });
    return { ...aux, grads } as never;
  }) as ParamTree;
  return Object.fromEntries(
    await Promise.all(
      Object.entries(flatten(results)).map(async ([path, leaf]) => {
        const value = nd(leaf.shape, await leaf.data());
        leaf.dispose();
        return [path, value] as const;
      }),
    ),
  );
}

const chosen = [
  'the paper’s: tail, slots',
  'rotary positions of outputs',
  'refreshed with every token, spans',
  'untied',
];

describeOnWebgpu("B'MOJO", (backend) => {
  afterAll(closeBackend);

  it.each(chosen)('%s: gives what it gives on WASM', async (name) => {
    const { eidetic, ...options } = cases[name]!.options;
    const mixer = bmojo({
      width,
      heads: 4,
      kvHeads: 2,
      headWidth: 4,
      window: 4,
      ...options,
      fading: asMixer(cells.gla.create({ width, heads: 2 })) as unknown as Mixer,
      eidetic,
    }) as unknown as Mixer;
    await openBackend('wasm');
    const values = drawn(mixer);
    const wanted = await run(mixer, values);
    await openBackend(backend);
    const found = await run(mixer, values);
    const finite = (value: NdArray): NdArray =>
      nd(
        value.shape,
        value.data.map((v) => (v === -Infinity ? -1 : v)),
      );
    for (const [path, value] of Object.entries(wanted))
      expect(finite(found[path]!), path).toBeCloseRms(finite(value), 1e-4);
    if (eidetic) expect(found.held).toEqual(wanted.held);
  });
});
