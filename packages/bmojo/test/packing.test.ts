// Documents of different lengths in one batch, each cut into passes elsewhere: as each alone and whole, in every configuration.
import { cells } from '@mnemix/cells';
import { asMixer, type Mixer, type State } from '@mnemix/layers';
import { concat, openBackend, Rng, tidy, type Tensor3D } from '@mnemix/tensor';
import { beforeAll, describe, it } from 'vitest';
import { bmojo, random } from '../src/index.ts';
import { cases, width } from './cases.ts';
import { drawn, entryOf, near, normal, part } from './parts.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const passes = 3;
const documents = 4;

describe.each(Object.entries(cases))('%s', (_, { options }) => {
  const { eidetic } = options;
  const mixer = bmojo({
    width,
    heads: 4,
    kvHeads: 2,
    headWidth: 4,
    window: 4,
    ...options,
    fading: asMixer(cells.gla.create({ width, heads: 2 })) as unknown as Mixer,
    eidetic: eidetic && { ...eidetic, policy: random() },
  }) as unknown as Mixer;

  it.each([1, 2])('is read the same, drawn with seed %i', (seed) => {
    tidy(() => {
      const params = drawn(mixer);
      const lengths = Array.from({ length: passes }, (__, pass) =>
        Array.from(Rng.of(seed).fold(pass).integers(documents, 0, 12), (length, d) =>
          d === pass ? 0 : length,
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
        const total = pass.reduce((sum, length) => sum + length + 1, 0);
        let start = 0;
        const segments = pass.map((length) => {
          const segment = { row: 0, start, length };
          start += length + 1;
          return segment;
        });
        const x = packed(texts, segments, seen, total);
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
  total: number,
): Tensor3D {
  const pieces = segments.flatMap(({ length }, d) => [
    ...(length > 0 ? [part(texts[d]!, seen[d]!, seen[d]! + length)] : []),
    normal(99, [1, 1, width]),
  ]);
  return concat(pieces, 1) as Tensor3D;
}
