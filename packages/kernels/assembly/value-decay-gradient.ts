// The backward pass of value-decay.ts: from the last segment to the first, with the states of each segment
// computed anew from the one that entered it. dS is the gradient of the state behind the token at hand.
import { sumLanes } from './vectors';
import {
  addTo, coversRows, dotRows, mulAdd, packRows, packState, packTile, paddedWidth, ROW, sumRows, TILE,
  tileCount, unpackRows, unpackState, unpackTile,
} from './tiles';
import { packTileDecay } from './value-decay';

/** Bytes of scratch memory that valueDecayGradient needs for sequences of at most `longest` tokens. */
export function valueDecayGradientScratch(dk: i32, dv: i32, segment: i32, longest: i32): usize {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const segments = (longest + segment - 1) / segment;
  return usize(segment) * (4 * rowBytes + 5 * ROW + tileBytes) + tileBytes
    + tileBytes * tileCount(dv) * (segments + 1);
}

/** Writes the gradients dQ … dInitialState in the shapes of the inputs; dState is that of the final state. */
export function valueDecayGradient(
  q: usize, k: usize, v: usize, logDecay: usize, initialState: usize, starts: usize, lengths: usize,
  dO: usize, dState: usize,
  dQ: usize, dK: usize, dV: usize, dLogDecay: usize, dInitialState: usize, scratch: usize,
  rows: i32, count: i32, heads: i32, dk: i32, dv: i32, segment: i32, scale: f32,
): void {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const allTiles = tileBytes * tileCount(dv);
  const keyStride = usize(heads * dk) << 2, valueStride = usize(heads * dv) << 2;
  const segmentRows = usize(segment) * rowBytes, segmentColumns = usize(segment) * ROW;
  const stateBytes = usize(dk * dv) << 2;
  const queries = scratch, keys = queries + segmentRows;
  const dQueries = keys + segmentRows, dKeys = dQueries + segmentRows;
  const values = dKeys + segmentRows, decays = values + segmentColumns;
  const dOutputs = decays + segmentColumns, dValues = dOutputs + segmentColumns;
  const dDecays = dValues + segmentColumns, partial = dDecays + segmentColumns;
  const states = partial + tileBytes, dTiles = states + usize(segment) * tileBytes;
  const entering = dTiles + allTiles;

  if (!coversRows(lengths, count, rows)) {
    memory.fill(dQ, 0, usize(rows) * keyStride);
    memory.fill(dK, 0, usize(rows) * keyStride);
    memory.fill(dV, 0, usize(rows) * valueStride);
    memory.fill(dLogDecay, 0, usize(rows) * valueStride);
  }
  for (let s = 0; s < count; s++) {
    const start = usize(load<i32>(starts + (s << 2))), length = load<i32>(lengths + (s << 2));
    for (let h = 0; h < heads; h++) {
      const at = stateBytes * (s * heads + h);
      const key0 = start * keyStride + usize(h * dk << 2), value0 = start * valueStride + usize(h * dv << 2);
      enterSegments(
        initialState ? initialState + at : 0, entering, length, segment, dk, dv,
        k + key0, keyStride, v + value0, logDecay + value0, valueStride, keys, decays, values,
      );

      packState(dState + at, dTiles, dk, dv);
      for (let n = (length + segment - 1) / segment - 1; n >= 0; n--) {
        const first = usize(n * segment), tokens = min(segment, length - n * segment);
        const key = key0 + first * keyStride, value = value0 + first * valueStride;
        packRows(q + key, keyStride, queries, tokens, dk, 1);
        packRows(k + key, keyStride, keys, tokens, dk, 1);
        memory.fill(dQueries, 0, segmentRows * 2);
        for (let column = 0, tile: usize = 0; column < dv; column += TILE, tile += tileBytes) {
          const here = value + (column << 2), left = dv - column;
          packTile(v + here, valueStride, values, tokens, left, 1);
          packTileDecay(logDecay + here, valueStride, decays, tokens, left);
          packTile(dO + here, valueStride, dOutputs, tokens, left, scale);
          unrollDecayed(
            entering + usize(n) * allTiles + tile, states, tokens, rowBytes, decays, keys, values,
          );
          throughTokens(
            tokens, rowBytes, queries, keys, decays, values, dOutputs, states, dTiles + tile,
            dQueries, dKeys, dDecays, dValues, partial,
          );
          unpackTile(dValues, dV + here, valueStride, tokens, left);
          unpackTile(dDecays, dLogDecay + here, valueStride, tokens, left);
        }
        unpackRows(dQueries, dQ + key, keyStride, tokens, dk);
        unpackRows(dKeys, dK + key, keyStride, tokens, dk);
      }
      unpackState(dTiles, dInitialState + at, dk, dv);
    }
  }
}

/**
 * The states, all tiles of them, that enter each segment of a sequence, one after another from `entering` on.
 * k, values and gates point to the sequence's first token; the last three arguments are room for one segment.
 */
function enterSegments(
  initialState: usize, entering: usize, length: i32, segment: i32, dk: i32, dv: i32,
  k: usize, keyStride: usize, v: usize, logDecay: usize, valueStride: usize,
  keys: usize, decays: usize, values: usize,
): void {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const allTiles = tileBytes * tileCount(dv);
  packState(initialState, entering, dk, dv);
  for (let first = 0; first + segment < length; first += segment) {
    packRows(k + usize(first) * keyStride, keyStride, keys, segment, dk, 1);
    for (let column = 0, tile = entering; column < dv; column += TILE, tile += tileBytes) {
      const here = usize(first) * valueStride + (column << 2), left = dv - column;
      packTile(v + here, valueStride, values, segment, left, 1);
      packTileDecay(logDecay + here, valueStride, decays, segment, left);
      const next = tile + allTiles;
      memory.copy(next, tile, tileBytes);
      for (let t: usize = 0; t < usize(segment); t++) {
        const column = t * ROW;
        decayAndWrite(next, next, rowBytes, decays + column, keys + t * rowBytes, values + column);
      }
    }
    entering += allTiles;
  }
}

/** to ← from Diag(d) + k vᵀ. */
@inline
function decayAndWrite(from: usize, to: usize, rowBytes: usize, d: usize, k: usize, v: usize): void {
  const d0 = v128.load(d), d1 = v128.load(d, 16), d2 = v128.load(d, 32), d3 = v128.load(d, 48);
  const v0 = v128.load(v), v1 = v128.load(v, 16), v2 = v128.load(v, 32), v3 = v128.load(v, 48);
  for (let i: usize = 0; i < rowBytes; i += 4) {
    const s = from + (i << 4), r = to + (i << 4), ki = v128.load32_splat(k + i);
    v128.store(r, mulAdd(f32x4.mul(d0, v128.load(s)), ki, v0));
    v128.store(r, mulAdd(f32x4.mul(d1, v128.load(s, 16)), ki, v1), 16);
    v128.store(r, mulAdd(f32x4.mul(d2, v128.load(s, 32)), ki, v2), 32);
    v128.store(r, mulAdd(f32x4.mul(d3, v128.load(s, 48)), ki, v3), 48);
  }
}

/** X_t = S_{t−1} Diag(d_t) for each of `count` tokens, from the state before the first. */
function unrollDecayed(
  first: usize, states: usize, count: i32, rowBytes: usize, d: usize, k: usize, v: usize,
): void {
  const tileBytes = rowBytes << 4;
  decay(first, states, rowBytes, d);
  for (let t = 1; t < count; t++, k += rowBytes, v += ROW, states += tileBytes) {
    d += ROW;
    writeAndDecay(states, states + tileBytes, rowBytes, d, k, v);
  }
}

/** to ← from Diag(d). */
@inline
function decay(from: usize, to: usize, rowBytes: usize, d: usize): void {
  const d0 = v128.load(d), d1 = v128.load(d, 16), d2 = v128.load(d, 32), d3 = v128.load(d, 48);
  for (let i: usize = 0; i < rowBytes << 4; i += ROW) {
    v128.store(to + i, f32x4.mul(d0, v128.load(from + i)));
    v128.store(to + i, f32x4.mul(d1, v128.load(from + i, 16)), 16);
    v128.store(to + i, f32x4.mul(d2, v128.load(from + i, 32)), 32);
    v128.store(to + i, f32x4.mul(d3, v128.load(from + i, 48)), 48);
  }
}

/** to ← (from + k vᵀ) Diag(d). */
@inline
function writeAndDecay(from: usize, to: usize, rowBytes: usize, d: usize, k: usize, v: usize): void {
  const d0 = v128.load(d), d1 = v128.load(d, 16), d2 = v128.load(d, 32), d3 = v128.load(d, 48);
  const v0 = v128.load(v), v1 = v128.load(v, 16), v2 = v128.load(v, 32), v3 = v128.load(v, 48);
  for (let i: usize = 0; i < rowBytes; i += 4) {
    const s = from + (i << 4), r = to + (i << 4), ki = v128.load32_splat(k + i);
    v128.store(r, f32x4.mul(d0, mulAdd(v128.load(s), ki, v0)));
    v128.store(r, f32x4.mul(d1, mulAdd(v128.load(s, 16), ki, v1)), 16);
    v128.store(r, f32x4.mul(d2, mulAdd(v128.load(s, 32), ki, v2)), 32);
    v128.store(r, f32x4.mul(d3, mulAdd(v128.load(s, 48), ki, v3)), 48);
  }
}

/**
 * dS += q doᵀ ; dq = S_t do, dk = dS v, dv = dSᵀk, dg = colsum(dS ⊙ X) ; dS ← dS Diag(d).
 * With S_t = X + k vᵀ, all products are with X = S_{t−1} Diag(d), which `states` holds.
 */
function throughTokens(
  tokens: i32, rowBytes: usize, q: usize, k: usize, d: usize, v: usize, dO: usize, states: usize,
  dState: usize,
  dQ: usize, dK: usize, dG: usize, dV: usize, partial: usize,
): void {
  for (let t = tokens - 1; t >= 0; t--) {
    const row = usize(t) * rowBytes, column = usize(t) * ROW, decayed = states + (row << 4);
    const o0 = v128.load(dO + column), o1 = v128.load(dO + column, 16);
    const o2 = v128.load(dO + column, 32), o3 = v128.load(dO + column, 48);
    const v0 = v128.load(v + column), v1 = v128.load(v + column, 16);
    const v2 = v128.load(v + column, 32), v3 = v128.load(v + column, 48);
    const d0 = v128.load(d + column), d1 = v128.load(d + column, 16);
    const d2 = v128.load(d + column, 32), d3 = v128.load(d + column, 48);
    let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0;
    let x0 = y0, x1 = y0, x2 = y0, x3 = y0;
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const s = decayed + (i << 4), g = dState + (i << 4), sums = partial + (i << 4);
      const qi = v128.load32_splat(q + row + i), ki = v128.load32_splat(k + row + i);
      const g0 = mulAdd(v128.load(g), qi, o0), g1 = mulAdd(v128.load(g, 16), qi, o1);
      const g2 = mulAdd(v128.load(g, 32), qi, o2), g3 = mulAdd(v128.load(g, 48), qi, o3);
      v128.store(g, f32x4.mul(d0, g0));
      v128.store(g, f32x4.mul(d1, g1), 16);
      v128.store(g, f32x4.mul(d2, g2), 32);
      v128.store(g, f32x4.mul(d3, g3), 48);
      y0 = mulAdd(y0, ki, g0);
      y1 = mulAdd(y1, ki, g1);
      y2 = mulAdd(y2, ki, g2);
      y3 = mulAdd(y3, ki, g3);
      v128.store(sums, dotRows(g0, g1, g2, g3, v0, v1, v2, v3));
      const s0 = v128.load(s), s1 = v128.load(s, 16), s2 = v128.load(s, 32), s3 = v128.load(s, 48);
      v128.store(sums, dotRows(s0, s1, s2, s3, o0, o1, o2, o3), 16);
      x0 = mulAdd(x0, s0, g0);
      x1 = mulAdd(x1, s1, g1);
      x2 = mulAdd(x2, s2, g2);
      x3 = mulAdd(x3, s3, g3);
    }
    v128.store(dV + column, y0);
    v128.store(dV + column, y1, 16);
    v128.store(dV + column, y2, 32);
    v128.store(dV + column, y3, 48);
    v128.store(dG + column, x0);
    v128.store(dG + column, x1, 16);
    v128.store(dG + column, x2, 32);
    v128.store(dG + column, x3, 48);
    const direct = f32x4.splat(sumLanes(dotRows(v0, v1, v2, v3, o0, o1, o2, o3)));
    for (let i: usize = 0; i < rowBytes; i += 16) {
      const at = row + i, sums = partial + (i << 4);
      addTo(dK + at, sumRows(sums));
      addTo(dQ + at, mulAdd(sumRows(sums + 16), v128.load(k + at), direct));
    }
  }
}
