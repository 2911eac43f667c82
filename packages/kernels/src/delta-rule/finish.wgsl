// From the gradients of y = βv and a = −β · erase to those of v, β and the erase key, in place: in `dV` is that of y, and where the
// erase key is the write key, in `dErase` what it gets as such. A workgroup of 256 has a chunk's head, 16 invocations a row.
const hasBeta = 1u;
const ownErase = 2u;

/** Of dβ, what each of its 16 invocations has for a token: [invocation, token]. */
var<workgroup> strengthParts: array<f32, 16 * 64>;

fn finishRows(chunk: Chunk, head: u32, local: u32) {
  let isWeighed = (sizes.extra & hasBeta) != 0;
  let lane = local % 16;
  for (var token = local / 16; token < chunk.tokens; token += 16) {
    let row = (chunk.start + token) * sizes.heads + head;
    var strength = 1f;
    var part = 0f;
    if (isWeighed) {
      strength = beta[row];
      for (var column = 4 * lane; column < sizes.valueWidth; column += 64) {
        let gradient = dVAt(row, column);
        putDV(row, column, strength * gradient);
        part += dot(gradient, vAt(row, column));
      }
    }
    for (var column = 4 * lane; column < sizes.keyWidth; column += 64) {
      let gradient = -dAAt(row, column);
      part += dot(gradient, eraseAt(row, column));
      var sum = strength * gradient;
      if ((sizes.extra & ownErase) == 0) {
        sum += dEraseAt(row, column);
      }
      putDErase(row, column, sum);
    }
    strengthParts[lane * 64 + token] = part;
  }
  workgroupBarrier();
  if (isWeighed && local < chunk.tokens) {
    var sum = 0f;
    for (var n = 0u; n < 16; n++) {
      sum += strengthParts[n * 64 + local];
    }
    dBeta[(chunk.start + local) * sizes.heads + head] = sum;
  }
}
