// Decoding for long: the state neither grows nor leaks.
import { cells } from '@mnemix/cells';
import { asMixer, type Mixer, type State } from '@mnemix/layers';
import {
  disposeTree,
  flatten,
  memory,
  openBackend,
  tidy,
  type ParamTree,
  type Tensor,
  type Tensor3D,
} from '@mnemix/tensor';
import { beforeAll, expect, it } from 'vitest';
import { bmojo } from '../src/index.ts';
import { at, drawn, normal } from './parts.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

it('keeps the shapes of its state for 2,000 tokens, and no tensor more', () => {
  const width = 8;
  const mixer = bmojo({
    width,
    heads: 2,
    window: 4,
    fading: asMixer(cells.gla.create({ width, heads: 1 })) as unknown as Mixer,
    eidetic: { slots: 3 },
  }) as unknown as Mixer;
  const shapes = (tree: State): string =>
    JSON.stringify(
      Object.entries(flatten(tree))
        .map(([path, { shape }]) => [path, shape])
        .sort(),
    );
  const { params, x, ...start } = tidy(
    () => ({ params: drawn(mixer), x: normal(8, [1, 2000, width]), state: mixer.initialState(1) }) as never,
  ) as { params: ParamTree; x: Tensor3D; state: State };
  let { state } = start;
  const expected = shapes(state);
  const before = memory().numTensors;
  for (let t = 0; t < 2000; t++) {
    const next = tidy(() => mixer.step(params, at(x, t), state).state as never) as State;
    disposeTree(state);
    state = next;
    expect(memory().numTensors).toBe(before);
    expect(shapes(state)).toBe(expected);
  }
  const { position, eidetic } = state as { position: Tensor; eidetic: { positions: Tensor } };
  expect(position.dataSync()[0]).toBe(2000);
  // What it holds may be of any time.
  const held = Array.from(eidetic.positions.dataSync());
  expect(held.every((kept) => kept >= 0 && kept < 2000)).toBe(true);
  expect(Math.min(...held)).toBeLessThan(1900);
  disposeTree({ params, x, state });
});
