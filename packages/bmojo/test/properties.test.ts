// What the layer must satisfy over real fading memories: recurrences alone, and a Mixture-of-Memories.
import { cells } from '@mnemix/cells';
import { asMixer, type Mixer, type State } from '@mnemix/layers';
import { mom } from '@mnemix/mom';
import {
  concat,
  disposeTree,
  entries,
  fill,
  leaves,
  memory,
  mul,
  openBackend,
  Rng,
  sum,
  tidy,
  valueAndGrad,
  zeros,
  type ParamTree,
  type Scalar,
  type Tensor3D,
} from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { bmojo, detach, type BmojoConfig, type BmojoState } from '../src/index.ts';
import { at, drawn, entryOf, near, normal, part, row } from './parts.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const width = 12;
const window = 4;
const memories: Record<string, Mixer> = {
  gated_delta_net: asMixer(
    cells.gated_delta_net.create({ width, heads: 2, headWidth: 5, expandV: 1 }),
  ) as unknown as Mixer,
  mamba2: asMixer(cells.mamba2.create({ width, heads: 3, stateWidth: 4 })) as unknown as Mixer,
  rwkv7: asMixer(cells.rwkv7.create({ width, headWidth: 6 })) as unknown as Mixer,
  'a mixture of gla': mom({
    cell: cells.gla.create({ width, heads: 2, expandK: 1 }),
    memories: 3,
    topK: 2,
  }) as unknown as Mixer,
};

const layerOver = (fading: Mixer, options: Partial<BmojoConfig> = {}): Mixer =>
  bmojo({
    width,
    heads: 4,
    kvHeads: 2,
    window,
    fading,
    fadingTokens: { count: 2 },
    eidetic: { slots: 3, span: 1 },
    ...options,
  }) as unknown as Mixer;

const slotsOf = (aux: object): Tensor3D => (aux as { eidetic: { positions: Tensor3D } }).eidetic.positions;

describe.each(Object.entries(memories))('over %s', (_, fading) => {
  const mixer = layerOver(fading);
  const setUp = (tokens: number, batch = 2) => ({
    params: drawn(mixer),
    x: normal(8, [batch, tokens, width]),
  });

  it.each([1, 3, 4, 8, 10, 18])('continues after %i tokens as if it were one pass', (tokens) => {
    tidy(() => {
      const { params, x } = setUp(tokens + 7);
      const whole = mixer.forward(params, x);
      const first = mixer.forward(params, part(x, 0, tokens));
      const second = mixer.forward(params, part(x, tokens, tokens + 7), { state: first.state });
      near(concat([first.y, second.y], 1), whole.y);
      near(second.state, whole.state);
    });
  });

  it('gives the same a token at a time', () => {
    tidy(() => {
      const { params, x } = setUp(18);
      const whole = mixer.forward(params, x);
      let state = mixer.initialState(2);
      for (let t = 0; t < 18; t++) {
        const result = mixer.step(params, at(x, t), state);
        near(result.y, at(whole.y, t));
        ({ state } = result);
      }
      near(state, whole.state);
    });
  });

  it('keeps packed documents apart, empty ones and carried states of different lengths too', () => {
    tidy(() => {
      const { params, x } = setUp(19);
      const segments = [
        { row: 0, start: 0, length: 11 },
        { row: 0, start: 12, length: 1 },
        { row: 1, start: 2, length: 0 },
        { row: 1, start: 3, length: 16 },
      ];
      const packed = mixer.forward(params, x, { segments });
      // The second pass gives each sequence as many tokens as another one had in the first.
      const more = [segments[3]!, segments[2]!, segments[1]!, segments[0]!];
      const again = mixer.forward(params, x, { segments: more, state: packed.state });
      segments.forEach(({ row: b, start, length }, s) => {
        let alone: { y?: Tensor3D; state: State } = { state: mixer.initialState(1) };
        if (length > 0) {
          alone = mixer.forward(params, part(row(x, b), start, start + length));
          near(part(row(packed.y, b), start, start + length), alone.y!);
        }
        near(entryOf(packed.state, 4, s), alone.state);
        const next = more[s]!;
        if (next.length > 0) {
          const tokens = part(row(x, next.row), next.start, next.start + next.length);
          alone = mixer.forward(params, tokens, { state: alone.state });
          near(part(row(again.y, next.row), next.start, next.start + next.length), alone.y!);
        }
        near(entryOf(again.state, 4, s), alone.state);
      });
    });
  });

  it('gives 0 for padding, which gets no gradient', () => {
    tidy(() => {
      const { params, x } = setUp(11);
      const segments = [
        { row: 0, start: 2, length: 7 },
        { row: 1, start: 0, length: 5 },
      ];
      const { grads, aux } = valueAndGrad((tree: { x: Tensor3D; params: ParamTree }) => {
        const { y } = mixer.forward(tree.params, tree.x, { segments });
        return { value: sum(mul(y, normal(4, [2, 11, width]))) as Scalar, aux: { y } };
      })({ x, params });
      for (const [b, from, to] of [
        [0, 0, 2],
        [0, 9, 11],
        [1, 5, 11],
      ] as const) {
        const nothing = zeros([1, to - from, width]);
        near(part(row(aux.y, b), from, to), nothing);
        near(part(row(grads.x, b), from, to), nothing);
      }
    });
  });

  it('passes states through where there is nothing but padding', () => {
    tidy(() => {
      const { params, x } = setUp(6, 1);
      const { state } = mixer.forward(params, x);
      const result = mixer.forward(params, x, { state, segments: [{ row: 0, start: 2, length: 0 }] });
      near(result.y, zeros(x.shape));
      near(result.state, state);
    });
  });

  it('treats the rows of a batch alike', () => {
    tidy(() => {
      const { params, x } = setUp(13, 3);
      const whole = mixer.forward(params, x);
      const order = [2, 0, 1];
      const swapped = mixer.forward(
        params,
        concat(
          order.map((b) => row(x, b)),
          0,
        ) as Tensor3D,
      );
      order.forEach((from, b) => {
        near(row(swapped.y, b), row(whole.y, from));
        near(entryOf(swapped.state, 3, b), entryOf(whole.state, 3, from));
        near(row(slotsOf(swapped.aux), b), row(slotsOf(whole.aux), from));
      });
    });
  });

  it.each([5, 8, 11])('does not look ahead: token %i changes no output, nor memory, before it', (s) => {
    tidy(() => {
      const { params, x } = setUp(19);
      const changed = concat([part(x, 0, s), mul(part(x, s, s + 1), -3), part(x, s + 1, 19)], 1) as Tensor3D;
      const [before, after] = [x, changed].map((input) => mixer.forward(params, input));
      expect(part(after!.y, 0, s).dataSync()).toEqual(part(before!.y, 0, s).dataSync());
      expect(part(after!.y, s, s + 1).dataSync()).not.toEqual(part(before!.y, s, s + 1).dataSync());
      // Chunk c sees what was chosen of the tokens before it; all of those lie before s for chunks up to ⌊s/w⌋.
      const chunks = Math.floor(s / window) + 1;
      const [held, heldAfter] = [before!, after!].map(({ aux }) => part(slotsOf(aux), 0, chunks).dataSync());
      expect(heldAfter).toEqual(held);
    });
  });

  it('leaks no tensor: forward, step, gradient', () => {
    const kept = tidy(() => {
      const { params, x } = setUp(10);
      return { params, x, state: mixer.initialState(2) } as never;
    }) as { params: ParamTree; x: Tensor3D; state: State };
    const { params, x, state } = kept;
    const before = memory().numTensors;
    tidy(() => {
      mixer.step(params, at(x, 0), state);
    });
    expect(memory().numTensors).toBe(before);
    tidy(() => {
      const { grads } = valueAndGrad((tree: ParamTree) => {
        const first = mixer.forward(tree, x);
        return { value: sum(mixer.forward(tree, x, { state: first.state }).y) as Scalar };
      })(params);
      for (const [path, leaf] of entries(grads)) {
        expect(leaf.dataSync().every(Number.isFinite), path).toBe(true);
      }
    });
    expect(memory().numTensors).toBe(before);
    const result = mixer.forward(params, x, { state });
    const made = leaves({ ...result });
    expect(memory().numTensors).toBe(before + made.length);
    disposeTree({ ...kept, made });
  });

  it('weighs what it says, whatever it has seen', () => {
    tidy(() => {
      const { params, x } = setUp(9, 3);
      const bytes = (state: State): number => leaves(state).reduce((total, leaf) => total + 4 * leaf.size, 0);
      expect(bytes(mixer.initialState(3))).toBe(mixer.stateBytes(3));
      expect(bytes(mixer.forward(params, x).state)).toBe(mixer.stateBytes(3));
    });
  });

  it('counts parameters as its fading memory does', () => {
    tidy(() => {
      const params = mixer.init(Rng.of(1));
      const own = (params as { fading: ParamTree }).fading;
      const idle = (of: Mixer, tree: ParamTree): number =>
        leaves(tree).reduce((total, leaf) => total + leaf.size, 0) - of.activatedParameters(tree);
      expect(idle(mixer, params)).toBe(idle(fading, own));
    });
  });

  it('keeps a token that is NaN to its own sequence', () => {
    // Innovations of NaN have no rank, and are refused; recency looks at none.
    for (const eidetic of [undefined, { slots: 3, policy: { type: 'recency' } as const }]) {
      const layer = layerOver(fading, { eidetic });
      tidy(() => {
        const params = drawn(layer);
        const x = normal(8, [3, 9, width]);
        const clean = layer.forward(params, x);
        const hole = fill([1, 1, width], NaN) as Tensor3D;
        const second = concat([part(row(x, 1), 0, 4), hole, part(row(x, 1), 5, 9)], 1);
        const dirty = layer.forward(params, concat([row(x, 0), second, row(x, 2)], 0) as Tensor3D);
        for (const b of [0, 2]) near(row(dirty.y, b), row(clean.y, b));
        expect([...part(row(dirty.y, 1), 4, 5).dataSync()].every(Number.isNaN)).toBe(true);
      });
    }
  });

  it('goes on with a state of fewer slots, and of more, of which the best stay', () => {
    tidy(() => {
      const [few, many] = [2, 5].map((slots) => layerOver(fading, { eidetic: { slots, span: 1 } }));
      const { params, x } = setUp(15);
      // Six tokens: the first chunk has been chosen from; up to token 8 nothing else is.
      const start = part(x, 0, 6);
      const [small, large] = [few!, many!].map((layer) => layer.forward(params, start).state as BmojoState);
      const held = (state: State): number[][] => (state as BmojoState).eidetic!.positions.arraySync();
      expect(held(large!).map((own) => own.slice(0, 2))).toEqual(held(small!));

      // Fewer: the best two of five, which is what the layer of two slots would hold itself.
      const rest = part(x, 6, 15);
      const [cutDown, own] = [large!, small!].map((state) => few!.forward(params, rest, { state }));
      near(cutDown!.y, own!.y);
      near(cutDown!.state, own!.state);

      // More: nothing that was let go comes back, but nothing is chosen differently until the chunk ends.
      const [until, after] = [part(x, 6, 8), part(x, 8, 15)];
      const wider = many!.forward(params, until, { state: small! });
      near(wider.y, few!.forward(params, until, { state: small! }).y);
      const later = many!.forward(params, after, { state: wider.state });
      const refilled = slotsOf(later.aux).arraySync();
      held(small!).forEach((own, b) => {
        const candidates = [...own, 4, 5, 6, 7];
        expect(candidates).toEqual(expect.arrayContaining(refilled[b]![0]!));
        expect(new Set(refilled[b]![0]).size).toBe(5);
      });
    });
  });

  it('stops gradients where a state is detached, and changes no value', () => {
    tidy(() => {
      const { params, x } = setUp(15);
      const dy = normal(4, [2, 15, width]);
      const run = (through: (state: BmojoState) => BmojoState) =>
        valueAndGrad((tree: { x: Tensor3D; params: ParamTree }) => {
          const first = mixer.forward(tree.params, part(tree.x, 0, 6));
          const state = through(first.state as BmojoState);
          const { y } = mixer.forward(tree.params, part(tree.x, 6, 15), { state });
          return { value: sum(mul(y, part(dy, 6, 15))) as Scalar, aux: { y } };
        })({ x, params });
      const [free, cut] = [run((state) => state), run(detach)];
      near(cut.aux.y, free.aux.y);
      expect([...part(cut.grads.x, 0, 6).dataSync()].every((value) => value === 0)).toBe(true);
      expect([...part(free.grads.x, 0, 6).dataSync()].some((value) => value !== 0)).toBe(true);
      // Of the tokens after the cut the second pass alone says what they do.
      near(part(cut.grads.x, 6, 15), part(free.grads.x, 6, 15));
    });
  });
});
