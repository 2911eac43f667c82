// Documents of different lengths in one batch, each cut into passes elsewhere: as each alone and whole, in every configuration.
import { cells } from '@mnemix/cells';
import { asMixer, type Mixer, type State } from '@mnemix/layers';
import { concat, openBackend, reshape, Rng, slice, tidy, type Tensor1D, type Tensor3D } from '@mnemix/tensor';
import { beforeAll, describe, it } from 'vitest';
import { bmojo, type MemoryPolicy } from '../src/index.ts';
import { cases, width, window } from './cases.ts';
import { drawn, entryOf, near, normal, part } from './parts.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

/** Each document has ranks of its own. */
const firstChannel: MemoryPolicy = {
  name: 'first_channel',
  config: {},
  score: ({ inputs }) => reshape(slice(inputs, [0, 0], [inputs.shape[0], 1]), [inputs.shape[0]]) as Tensor1D,
};

const passes = 3;
const documents = 4;

describe.each(Object.entries(cases))('%s', (_, { options }) => {
  const { eidetic } = options;
  const mixer = bmojo({
    width,
    heads: 4,
    kvHeads: 2,
    headWidth: 4,
    window,
    ...options,
    fading: asMixer(cells.gla.create({ width, heads: 2 })) as unknown as Mixer,
    eidetic: eidetic && { ...eidetic, policy: firstChannel },
  }) as unknown as Mixer;

  it.each([1, 2])('is read the same, drawn with seed %i', (seed) => {
    tidy(() => {
      const params = drawn(mixer);
      // One document is empty in each pass, and one is cut where its chunks end.
      const lengthOf = (drawnLength: number, document: number, pass: number): number => {
        if (document === pass) return 0;
        return document === 3 ? window * (1 + (drawnLength % 2)) : drawnLength;
      };
      const lengths = Array.from({ length: passes }, (__, pass) =>
        Array.from(Rng.of(seed).fold(pass).integers(documents, 0, 12), (length, d) =>
          lengthOf(length, d, pass),
        ),
      );
      const seen = new Array<number>(documents).fill(0);
      const texts = Array.from({ length: documents }, (__, d) => normal(10 * seed + d, [1, 36, width]));
      let state: State | undefined;
      const wholes = texts.map((text, d) => {
        const total = lengths.reduce((sum, pass) => sum + pass[d]!, 0);
        return mixer.forward(params, part(text, 0, Math.max(1, total)));
      });
      for (const pass of lengths) {
        let start = 0;
        const segments = pass.map((length) => {
          const segment = { row: 0, start, length };
          start += length + 1;
          return segment;
        });
        const x = packed(texts, segments, seen);
        const result = mixer.forward(params, x, { state, segments });
        ({ state } = result);
        segments.forEach((segment, d) => {
          const { length } = segment;
          if (length > 0)
            near(
              part(result.y, segment.start, segment.start + length),
              part(wholes[d]!.y, seen[d]!, seen[d]! + length),
            );
          seen[d]! += length;
        });
      }
      wholes.forEach((whole, d) => {
        if (seen[d]! > 0) near(entryOf(state as State, documents, d), whole.state);
      });
    });
  });
});

/** A row with the next tokens of each text at its segment, and noise between. */
function packed(
  texts: readonly Tensor3D[],
  segments: readonly { readonly start: number; readonly length: number }[],
  seen: readonly number[],
): Tensor3D {
  const pieces = segments.flatMap(({ length }, d) => [
    ...(length > 0 ? [part(texts[d]!, seen[d]!, seen[d]! + length)] : []),
    normal(99, [1, 1, width]),
  ]);
  return concat(pieces, 1) as Tensor3D;
}
