import { describe, expect, it } from 'vitest';
import {
  at,
  cellForward,
  concat,
  deltaNet,
  gatedDeltaNet,
  gla,
  linearAttention,
  momForward,
  nd,
  parametersToFloat64,
  pooledBalanceLoss,
  readLayerFixture,
  readMomLayerFixture,
  retnet,
  rows,
  stack,
  toFloat64,
  type CellOracle,
} from '../src/index.ts';

describe.each(['mom_gated_delta', 'mom_gated_delta_noshared', 'mom_gated_delta_singlekv'])(
  'the layer %s',
  (name) => {
    const fixture = readLayerFixture(name);
    const parameters = parametersToFloat64(fixture.params);
    const [x, y] = [toFloat64(fixture.x), toFloat64(fixture.y)];

    it('gives the golden outputs and router logits', () => {
      const results = [0, 1].map((b) => momForward(parameters, fixture.config, at(x, b)));
      expect(stack(results.map((result) => result.y))).toBeCloseRms(y, 1e-5, 0);
      const logits = concat(results.map((result) => result.routerLogits));
      expect(logits).toBeCloseRms(fixture.extra['router_logits']!, 1e-5, 0);
    });
  },
);

describe('the float64 MoM layer', () => {
  const fixture = readMomLayerFixture();
  const run = (x = fixture.x, options = {}) => momForward(fixture.params, fixture.config, x, options);

  it('gives the golden outputs, routing, states and auxiliary loss', () => {
    const result = run();
    expect(result.y).toBeCloseRms(fixture.output, 1e-9, 0);
    expect(result.routerLogits).toBeCloseRms(fixture.routerLogits, 1e-9, 0);
    expect(result.selected).toBeCloseRms(fixture.selected, 0, 0);
    expect(result.weights).toBeCloseRms(fixture.weights, 1e-9, 0);
    const states = [...result.state.memories, result.state.shared].map((state) => state!.recurrent);
    expect(stack(states)).toBeCloseRms(fixture.finalStates, 1e-9, 0);
    expect(pooledBalanceLoss(result.routerLogits, 2)).toBeCloseRms(fixture.auxLoss, 1e-9, 0);
  });

  it('gives the same in pieces with a carried state as at once', () => {
    const first = run(rows(fixture.x, 0, 8));
    const second = run(rows(fixture.x, 8, 21), { state: first.state });
    expect(concat([first.y, second.y])).toBeCloseRms(fixture.output, 1e-9, 0);
  });

  it('treats masked tokens as absent', () => {
    const padding = nd(
      [3, 8],
      Array.from({ length: 24 }, () => 5),
    );
    const mask = [0, 0, 0, ...Array.from({ length: 21 }, () => 1)];
    const padded = run(concat([padding, fixture.x]), { mask });
    expect(rows(padded.y, 3, 24)).toBeCloseRms(fixture.output, 1e-9, 0);
    expect(rows(padded.y, 0, 3)).toBeCloseRms(nd([3, 8]), 0, 0);
    expect(pooledBalanceLoss(padded.routerLogits, 2, mask)).toBeCloseRms(fixture.auxLoss, 1e-9, 0);
  });
});

describe.each<[string, CellOracle]>([
  ['linear_attention_normalised', linearAttention],
  ['retnet', retnet],
  ['gla', gla],
  ['delta_net', deltaNet],
  ['gated_delta_net', gatedDeltaNet],
])('MoM over the cell of %s', (name, cell) => {
  const fixture = readLayerFixture(name);
  const parameters = parametersToFloat64(fixture.params);
  const x = rows(at(toFloat64(fixture.x), 0), 0, 12);
  /** The cell's parameters as those of every memory, and the router's. */
  const momParameters = (memories: number) => {
    const copies = Object.entries(parameters).flatMap(([key, value]) => {
      const stem = cell.perMemory.find((candidate) => key.startsWith(`${candidate}.`));
      if (stem === undefined) return [[key, value] as const];
      const rest = key.slice(stem.length);
      return Array.from({ length: memories }, (_, m) => [`${stem}.${m}${rest}`, value] as const);
    });
    const router = nd(
      [memories, 64],
      Array.from({ length: memories * 64 }, (_, i) => Math.sin(i)),
    );
    return { ...Object.fromEntries(copies), 'gate.weight': router };
  };

  it('equals the cell alone when there is one memory', () => {
    const config = { ...fixture.config, num_memories: 1, topk: 1 };
    const { y, weights } = momForward(momParameters(1), config, x, { cell });
    expect(weights).toBeCloseRms(nd([12, 1], Array(12).fill(1)), 0, 0);
    expect(y).toBeCloseRms(cellForward(cell, parameters, fixture.config, x).y, 1e-12, 0);
  });

  it('equals the cell alone when all memories are alike and all are chosen', () => {
    const config = { ...fixture.config, num_memories: 3, topk: 3 };
    const { y } = momForward(momParameters(3), config, x, { cell });
    expect(y).toBeCloseRms(cellForward(cell, parameters, fixture.config, x).y, 1e-12, 0);
  });

  it('gives each memory only the tokens that chose it', () => {
    const config = { ...fixture.config, num_memories: 3, topk: 1 };
    const { state, selected } = momForward(momParameters(3), config, x, { cell });
    const counts = [0, 1, 2].map((m) => selected.data.filter((choice) => choice === m).length);
    expect(state.memories.map((memory) => memory?.position ?? 0)).toEqual(counts);
    expect(Math.max(...counts)).toBeLessThan(12);
    counts.forEach((count, m) => {
      if (count === 0) return;
      const own = stack([...selected.data.keys()].filter((t) => selected.data[t] === m).map((t) => at(x, t)));
      const alone = cellForward(cell, parameters, fixture.config, own).state;
      expect(state.memories[m]!.recurrent).toBeCloseRms(alone.recurrent, 1e-12, 0);
    });
  });
});
