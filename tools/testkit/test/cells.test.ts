import { describe, expect, it } from 'vitest';
import {
  at,
  cellForward,
  concat,
  deltaNet,
  gatedDeltaNet,
  gla,
  linearAttention,
  parametersToFloat64,
  readLayerFixture,
  retnet,
  rows,
  toFloat64,
  type CellOracle,
} from '../src/index.ts';

const layers: [string, CellOracle][] = [
  ['linear_attention', linearAttention],
  ['linear_attention_normalised', linearAttention],
  ['retnet', retnet],
  ['gla', gla],
  ['delta_net', deltaNet],
  ['gated_delta_net', gatedDeltaNet],
  ['gated_delta_net_neg', gatedDeltaNet],
];

describe.each(layers)('the layer %s', (name, cell) => {
  const fixture = readLayerFixture(name);
  const parameters = parametersToFloat64(fixture.params);
  const [x, y] = [toFloat64(fixture.x), toFloat64(fixture.y)];

  it.each([0, 1])('gives the golden outputs for sequence %i', (b) => {
    expect(cellForward(cell, parameters, fixture.config, at(x, b)).y).toBeCloseRms(at(y, b), 1e-5, 0);
  });

  it('gives the same in pieces with a carried state as at once', () => {
    const sequence = rows(at(x, 0), 0, 20);
    const whole = cellForward(cell, parameters, fixture.config, sequence);
    const pieces = [];
    let state;
    for (const [begin, end] of [
      [0, 1],
      [1, 3],
      [3, 15],
      [15, 20],
    ] as const) {
      const piece = cellForward(cell, parameters, fixture.config, rows(sequence, begin, end), state);
      pieces.push(piece.y);
      state = piece.state;
    }
    expect(concat(pieces)).toBeCloseRms(whole.y, 1e-12, 0);
    expect(state!.recurrent).toBeCloseRms(whole.state.recurrent, 1e-12, 0);
  });
});
