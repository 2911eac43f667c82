// The backward pass of diagonal-plus-low-rank.ts. Given what the tokens recalled, v̂, the states are those of
// a plain scan that writes k vᵀ + b v̂ᵀ: so the states of each segment are computed anew from the one that
// entered it, without recalling again.
import {
  addTo, coversRows, dotRows, enterSegments, mulAdd, packDecay, packRows, packState, packTile, paddedWidth,
  ROW, sumRows, TILE, tileCount, unpackGates, unpackRows, unpackState, unpackTile, unroll,
} from './tiles';
import { sumLanes } from './vectors';

/** Bytes of scratch memory that it needs for sequences of at most `longest` tokens. */
export function diagonalPlusLowRankGradientScratch(dk: i32, dv: i32, segment: i32, longest: i32): usize {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const segments = (longest + segment - 1) / segment;
  return usize(segment) * (10 * rowBytes + 4 * ROW + tileBytes) + 2 * tileBytes
    + tileBytes * tileCount(dv) * (segments + 1);
}

/** Writes the gradients dQ … dInitialState in the shapes of the inputs; dState is that of the final state, 0 for none. */
export function diagonalPlusLowRankGradient(
  q: usize, k: usize, v: usize, a: usize, b: usize, logDecay: usize, initialState: usize,
  starts: usize, lengths: usize, recalled: usize, dO: usize, dState: usize,
  dQ: usize, dK: usize, dV: usize, dA: usize, dB: usize, dLogDecay: usize, dInitialState: usize,
  scratch: usize,
  rows: i32, count: i32, heads: i32, dk: i32, dv: i32, gates: i32, segment: i32, scale: f32,
): void {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const allTiles = tileBytes * tileCount(dv);
  const keyStride = usize(heads * dk) << 2, valueStride = usize(heads * dv) << 2;
  const gateStride = usize(heads * gates) << 2;
  const segmentRows = usize(segment) * rowBytes, segmentTile = usize(segment) * ROW;
  const stateBytes = usize(dk * dv) << 2;
  const queries = scratch, keys = queries + segmentRows, decays = keys + segmentRows;
  const aRows = decays + segmentRows, bRows = aRows + segmentRows;
  const dQueries = bRows + segmentRows, dKeys = dQueries + segmentRows, dDecays = dKeys + segmentRows;
  const dARows = dDecays + segmentRows, dBRows = dARows + segmentRows;
  const values = dBRows + segmentRows, recalls = values + segmentTile;
  const dOutputs = recalls + segmentTile, dValues = dOutputs + segmentTile;
  const partial = dValues + segmentTile, states = partial + 2 * tileBytes;
  const dTiles = states + usize(segment) * tileBytes, entering = dTiles + allTiles;

  if (!coversRows(lengths, count, rows)) {
    memory.fill(dQ, 0, usize(rows) * keyStride);
    memory.fill(dK, 0, usize(rows) * keyStride);
    memory.fill(dV, 0, usize(rows) * valueStride);
    memory.fill(dA, 0, usize(rows) * keyStride);
    memory.fill(dB, 0, usize(rows) * keyStride);
    memory.fill(dLogDecay, 0, usize(rows) * gateStride);
  }
  for (let s = 0; s < count; s++) {
    const start = usize(load<i32>(starts + (s << 2))), length = load<i32>(lengths + (s << 2));
    for (let h = 0; h < heads; h++) {
      const at = stateBytes * (s * heads + h);
      const key0 = start * keyStride + usize(h * dk << 2), value0 = start * valueStride + usize(h * dv << 2);
      const gate0 = start * gateStride + usize(h * gates << 2);
      enterSegments(
        initialState ? initialState + at : 0, entering, length, segment, dk, dv, gates,
        k + key0, keyStride, v + value0, valueStride, logDecay + gate0, gateStride, keys, decays, values,
        b + key0, recalled + value0, bRows, recalls,
      );

      packState(dState ? dState + at : 0, dTiles, dk, dv);
      for (let n = (length + segment - 1) / segment - 1; n >= 0; n--) {
        const first = usize(n * segment), tokens = min(segment, length - n * segment);
        const key = key0 + first * keyStride, value = value0 + first * valueStride;
        const gate = gate0 + first * gateStride;
        packRows(q + key, keyStride, queries, tokens, dk, 1);
        packRows(k + key, keyStride, keys, tokens, dk, 1);
        packRows(a + key, keyStride, aRows, tokens, dk, 1);
        packRows(b + key, keyStride, bRows, tokens, dk, 1);
        packDecay(logDecay + gate, gateStride, decays, tokens, dk, gates);
        memory.fill(dQueries, 0, segmentRows * 5);
        for (let column = 0, tile: usize = 0; column < dv; column += TILE, tile += tileBytes) {
          const here = value + (column << 2), left = dv - column;
          packTile(v + here, valueStride, values, tokens, left, 1);
          packTile(recalled + here, valueStride, recalls, tokens, left, 1);
          packTile(dO + here, valueStride, dOutputs, tokens, left, scale);
          unroll(
            entering + usize(n) * allTiles + tile, states, tokens, rowBytes, decays, keys, values, bRows,
            recalls,
          );
          throughUpdate(
            tokens, rowBytes, queries, keys, aRows, bRows, decays, values, recalls, dOutputs, states,
            dTiles + tile, dQueries, dKeys, dARows, dBRows, dDecays, dValues, partial,
          );
          unpackTile(dValues, dV + here, valueStride, tokens, left);
        }
        unpackRows(dQueries, dQ + key, keyStride, tokens, dk);
        unpackRows(dKeys, dK + key, keyStride, tokens, dk);
        unpackRows(dARows, dA + key, keyStride, tokens, dk);
        unpackRows(dBRows, dB + key, keyStride, tokens, dk);
        unpackGates(dDecays, dLogDecay + gate, gateStride, tokens, dk, gates);
      }
      if (initialState) unpackState(dTiles, dInitialState + at, dk, dv);
    }
  }
}

/**
 * dS += q doᵀ ; dq = S_t do, dk = dS v, dv = dSᵀk, db = dS v̂, dv̂ = dSᵀb ; da = S_{t−1} dv̂,
 * dg = rowsum(dS ⊙ D S_{t−1}) ; dS ← D dS + a dv̂ᵀ. All products are with S_{t−1}, which `states` holds.
 */
function throughUpdate(
  tokens: i32, rowBytes: usize, q: usize, k: usize, a: usize, b: usize, d: usize, v: usize, recalled: usize,
  dO: usize, states: usize, dState: usize,
  dQ: usize, dK: usize, dA: usize, dB: usize, dG: usize, dV: usize, partial: usize,
): void {
  const more = partial + (rowBytes << 4);
  for (let t = tokens - 1; t >= 0; t--) {
    const row = usize(t) * rowBytes, column = usize(t) * ROW, before = states + (row << 4);
    const o0 = v128.load(dO + column), o1 = v128.load(dO + column, 16);
    const o2 = v128.load(dO + column, 32), o3 = v128.load(dO + column, 48);
    let x0 = f32x4.splat(0), x1 = x0, x2 = x0, x3 = x0;
    let y0 = x0, y1 = x0, y2 = x0, y3 = x0;
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const g = dState + (i << 4);
      const qi = v128.load32_splat(q + row + i), ki = v128.load32_splat(k + row + i);
      const bi = v128.load32_splat(b + row + i);
      const g0 = mulAdd(v128.load(g), qi, o0), g1 = mulAdd(v128.load(g, 16), qi, o1);
      const g2 = mulAdd(v128.load(g, 32), qi, o2), g3 = mulAdd(v128.load(g, 48), qi, o3);
      v128.store(g, g0);
      v128.store(g, g1, 16);
      v128.store(g, g2, 32);
      v128.store(g, g3, 48);
      x0 = mulAdd(x0, ki, g0);
      x1 = mulAdd(x1, ki, g1);
      x2 = mulAdd(x2, ki, g2);
      x3 = mulAdd(x3, ki, g3);
      y0 = mulAdd(y0, bi, g0);
      y1 = mulAdd(y1, bi, g1);
      y2 = mulAdd(y2, bi, g2);
      y3 = mulAdd(y3, bi, g3);
    }
    v128.store(dV + column, x0);
    v128.store(dV + column, x1, 16);
    v128.store(dV + column, x2, 32);
    v128.store(dV + column, x3, 48);
    const v0 = v128.load(v + column), v1 = v128.load(v + column, 16);
    const v2 = v128.load(v + column, 32), v3 = v128.load(v + column, 48);
    const w0 = v128.load(recalled + column), w1 = v128.load(recalled + column, 16);
    const w2 = v128.load(recalled + column, 32), w3 = v128.load(recalled + column, 48);
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const s = before + (i << 4), g = dState + (i << 4), sums = partial + (i << 4);
      const ai = v128.load32_splat(a + row + i), di = v128.load32_splat(d + row + i);
      const g0 = v128.load(g), g1 = v128.load(g, 16), g2 = v128.load(g, 32), g3 = v128.load(g, 48);
      v128.store(sums, dotRows(g0, g1, g2, g3, v0, v1, v2, v3));
      v128.store(more + (i << 4), dotRows(g0, g1, g2, g3, w0, w1, w2, w3));
      const s0 = v128.load(s), s1 = v128.load(s, 16), s2 = v128.load(s, 32), s3 = v128.load(s, 48);
      v128.store(sums, dotRows(s0, s1, s2, s3, o0, o1, o2, o3), 16);
      v128.store(sums, dotRows(s0, s1, s2, s3, g0, g1, g2, g3), 32);
      v128.store(sums, dotRows(s0, s1, s2, s3, y0, y1, y2, y3), 48);
      v128.store(g, mulAdd(f32x4.mul(di, g0), ai, y0));
      v128.store(g, mulAdd(f32x4.mul(di, g1), ai, y1), 16);
      v128.store(g, mulAdd(f32x4.mul(di, g2), ai, y2), 32);
      v128.store(g, mulAdd(f32x4.mul(di, g3), ai, y3), 48);
    }
    const withKey = f32x4.splat(sumLanes(dotRows(v0, v1, v2, v3, o0, o1, o2, o3)));
    const withB = f32x4.splat(sumLanes(dotRows(w0, w1, w2, w3, o0, o1, o2, o3)));
    for (let i: usize = 0; i < rowBytes; i += 16) {
      const at = row + i, sums = partial + (i << 4), decay = v128.load(d + at);
      const own = mulAdd(f32x4.mul(withKey, v128.load(k + at)), withB, v128.load(b + at));
      addTo(dK + at, sumRows(sums));
      addTo(dB + at, sumRows(more + (i << 4)));
      addTo(dQ + at, mulAdd(own, decay, sumRows(sums + 16)));
      addTo(dG + at, f32x4.mul(decay, sumRows(sums + 32)));
      addTo(dA + at, sumRows(sums + 48));
    }
  }
}
