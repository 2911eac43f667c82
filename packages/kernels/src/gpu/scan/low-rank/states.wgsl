// The states at the chunks' borders where what a chunk writes depends on the state that enters it. From chunk to chunk, with
// the rows [W | U | X | X'] that solve.wgsl has made,
//
//     Z = U + W S        S ← e^{b_C} S + Xᵀ Z + X'ᵀ Y
//
// Forward Z are the values written at b, and Y those at k if there are any. For the gradient (`toEnd` is 0) S is that of
// the state that leaves the chunk, Z the gradient of T's right side, and Y = dO. A workgroup has all rows of 32 columns of one
// sequence's and head's state in registers. What the walk begins with and leaves behind is in states-walk.wgsl; where sequences are
// cut, in states-transition.wgsl and states-entry.wgsl, whose walks are homogeneous: without U and Y, S ← e^{b_C} S + Xᵀ W S.
/** Z is U: it needs no correction, and is not written again. */
override isSolved: bool;
const columns = 32u;
/** Tokens, or rows of a part of the state. */
const edge = 64u;
/** Of the inner index, at a time. */
const slice = 32u;

/** Parts of 64 rows that the state has. */
override keyParts: u32;

var<workgroup> left: array<vec4f, slice * edge / 4>;
var<workgroup> right: array<vec4f, edge * columns / 4>;

/** 4 × 4 of each part of the state, and of what is being summed up. */
var<private> state0: mat4x4f;
var<private> state1: mat4x4f;
var<private> state2: mat4x4f;
var<private> state3: mat4x4f;
var<private> sum: mat4x4f;

fn stateOf(part: u32) -> mat4x4f {
  if (keyParts > 3 && part == 3) {
    return state3;
  }
  if (keyParts > 2 && part == 2) {
    return state2;
  }
  if (keyParts > 1 && part == 1) {
    return state1;
  }
  return state0;
}

fn setState(part: u32, value: mat4x4f) {
  if (keyParts > 3 && part == 3) {
    state3 = value;
  } else if (keyParts > 2 && part == 2) {
    state2 = value;
  } else if (keyParts > 1 && part == 1) {
    state1 = value;
  } else {
    state0 = value;
  }
}

fn vectorsOf(width: u32) -> u32 {
  return (width + 3) / 4;
}

/**
 * One vector of a token's row in `system`, of a part that begins at `first` and is `width` vectors wide; behind the last of either
 * the last again. Looked at only when it is needed, lest a driver wait for it before it multiplies.
 */
fn systemNear(chunk: Chunk, head: u32, token: u32, first: u32, width: u32, quad: u32) -> vec4f {
  let row = (chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head;
  return system[row * sizes.extra + first + min(quad, width - 1)];
}

/** 4 tokens of it. */
fn blockNear(chunk: Chunk, head: u32, token: u32, first: u32, width: u32, quad: u32) -> mat4x4f {
  return mat4x4f(
    systemNear(chunk, head, token, first, width, quad),
    systemNear(chunk, head, token + 1, first, width, quad),
    systemNear(chunk, head, token + 2, first, width, quad),
    systemNear(chunk, head, token + 3, first, width, quad),
  );
}

/** The same, 0 behind the last token and the last vector. */
fn known(block: mat4x4f, chunk: Chunk, token: u32, width: u32, quad: u32) -> mat4x4f {
  let isKnown = quad < width;
  return mat4x4f(
    select(vec4f(), block[0], isKnown && token < chunk.tokens),
    select(vec4f(), block[1], isKnown && token + 1 < chunk.tokens),
    select(vec4f(), block[2], isKnown && token + 2 < chunk.tokens),
    select(vec4f(), block[3], isKnown && token + 3 < chunk.tokens),
  );
}

fn keepLeft(at: u32, block: mat4x4f) {
  left[at] = block[0];
  left[at + edge / 4] = block[1];
  left[at + 2 * edge / 4] = block[2];
  left[at + 3 * edge / 4] = block[3];
}

fn keepRight(lane: vec2u, block: mat4x4f) {
  let at = 4 * lane.y * (columns / 4) + lane.x;
  right[at] = block[0];
  right[at + columns / 4] = block[1];
  right[at + 2 * columns / 4] = block[2];
  right[at + 3 * columns / 4] = block[3];
}

/** Adds the product of the slice on the left and the rows from `first` on, on the right. */
fn multiply(lane: vec2u, first: u32) {
  for (var k = 0u; k < slice; k++) {
    let a = left[k * (edge / 4) + lane.y];
    let b = right[(first + k) * (columns / 4) + lane.x];
    sum[0] += a.x * b;
    sum[1] += a.y * b;
    sum[2] += a.z * b;
    sum[3] += a.w * b;
  }
}

@compute @workgroup_size(128)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.y;
  let laneRow = (group.z * sizes.heads + head) * sizes.keyWidth;
  let own = sequenceChunks[group.z];
  let lane = vec2u(local % 8, local / 8);
  let column = group.x * columns + 4 * lane.x;
  let keyWidth = vectorsOf(sizes.keyWidth);
  let valueWidth = vectorsOf(sizes.valueWidth);
  let steps = keyParts * (edge / slice);
  let writes = select((sizes.extra - keyWidth - valueWidth) / keyWidth, 1, homogeneous);
  // Which 4 × 4 of a slice an invocation brings, in quads: tokens × keys, where the tokens are the edge, and where the keys are.
  let byToken = vec2u(local % 8 + 8 * (local / 32 % 2), local / 8 % 4 + 4 * (local / 64));
  let byKey = vec2u(local / 16, local % 16);

  for (var part = 0u; part < keyParts; part++) {
    let row = part * edge + 4 * lane.y;
    let rows = mat4x4f(
      start(laneRow, row, column),
      start(laneRow, row + 1, column),
      start(laneRow, row + 2, column),
      start(laneRow, row + 3, column),
    );
    setState(part, rows);
  }

  var isOver = false;
  for (var n = 0u; n < own.y; n++) {
    let index = own.x + select(n, own.y - 1 - n, sizes.toEnd == 0);
    let chunk = chunks[index];

    let stateRow = (index * sizes.heads + head) * sizes.keyWidth;
    var isAlive = false;
    for (var part = 0u; part < keyParts; part++) {
      let state = stateOf(part);
      let row = part * edge + 4 * lane.y;
      isAlive |= leave(stateRow, row, column, state[0]);
      isAlive |= leave(stateRow, row + 1, column, state[1]);
      isAlive |= leave(stateRow, row + 2, column, state[2]);
      isAlive |= leave(stateRow, row + 3, column, state[3]);
    }
    if (homogeneous) {
      isOver = isSettled(local, isAlive);
      if (isOver) {
        break;
      }
    }

    // Z = U + W S. Each slice is on its way while the one before is multiplied.
    var given = mat4x4f();
    if (!homogeneous) {
      given = blockNear(chunk, head, 4 * lane.y, keyWidth, valueWidth, column / 4);
    }
    sum = mat4x4f();
    if (!isSolved) {
      for (var step = 0u; step <= steps; step++) {
        let quad = step * slice / 4 + byToken.y;
        let block = blockNear(chunk, head, 4 * byToken.x, 0, keyWidth, quad);
        if (step > 0) {
          multiply(lane, (step + 1) % 2 * slice);
        }
        if (step < steps) {
          workgroupBarrier();
          if (step % 2 == 0) {
            keepRight(lane, stateOf(step / 2));
          }
          let w = known(block, chunk, 4 * byToken.x, keyWidth, quad);
          keepLeft(4 * byToken.y * (edge / 4) + byToken.x, transpose(w));
          workgroupBarrier();
        }
      }
    }
    if (!homogeneous) {
      sum += known(given, chunk, 4 * lane.y, valueWidth, column / 4);
    }
    if (!isSolved) {
      putValues(chunk, head, 4 * lane.y, column, sum[0]);
      putValues(chunk, head, 4 * lane.y + 1, column, sum[1]);
      putValues(chunk, head, 4 * lane.y + 2, column, sum[2]);
      putValues(chunk, head, 4 * lane.y + 3, column, sum[3]);
    }

    // S ← e^{b_C} S + Xᵀ Z + X'ᵀ Y.
    for (var write = 0u; write < writes; write++) {
      let begin = keyWidth + valueWidth + write * keyWidth;
      if (write > 0) {
        sum = valuesOf(chunk, head, 4 * lane.y, column);
      }
      workgroupBarrier();
      keepRight(lane, sum);
      for (var step = 0u; step <= steps; step++) {
        let part = step / 2;
        let token = step % 2 * slice + 4 * byKey.x;
        let quad = part * (edge / 4) + byKey.y;
        let block = blockNear(chunk, head, token, begin, keyWidth, quad);
        if (step > 0) {
          multiply(lane, (step + 1) % 2 * slice);
          if (step % 2 == 0) {
            setState(part - 1, sum);
          }
        }
        if (step < steps) {
          if (step % 2 == 0) {
            sum = stateOf(part);
            if (write == 0) {
              let whole = decaysTo(chunk, head, -1, part * edge + 4 * lane.y, true);
              sum = mat4x4f(whole.x * sum[0], whole.y * sum[1], whole.z * sum[2], whole.w * sum[3]);
            }
          }
          workgroupBarrier();
          keepLeft(4 * byKey.x * (edge / 4) + byKey.y, known(block, chunk, token, keyWidth, quad));
          workgroupBarrier();
        }
      }
    }
  }

  for (var part = 0u; part < keyParts; part++) {
    let state = stateOf(part);
    let row = part * edge + 4 * lane.y;
    finish(laneRow, row, column, state[0]);
    finish(laneRow, row + 1, column, state[1]);
    finish(laneRow, row + 2, column, state[2]);
    finish(laneRow, row + 3, column, state[3]);
  }
  if (local == 0) {
    tell((group.z * sizes.heads + head) * ((sizes.keyWidth + columns - 1) / columns) + group.x, isOver);
  }
}
