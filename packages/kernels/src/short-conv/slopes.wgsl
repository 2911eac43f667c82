// First stage of the gradients: du = dy ⊙ act′(z), where z are the sums before the activation, and each item's part of the gradients
// of taps and bias. Windows of more than four taps go over the rows once more for each further group of four.
@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let column = 4 * (group.z * lanes + local.x);
  let item = (group.y * groups.x + group.x) * slots + local.y;
  let row0 = item * sizes.span;
  if (column >= sizes.channels || row0 >= sizes.rows) {
    return;
  }
  let shift = biasAt(column);
  let parts = item * sizes.channels * (width + 1);
  for (var first = 0u; first < width; first += 4) {
    let taps = tapsAt(column, first);
    var dTaps = mat4x4f();
    var dBias = vec4f();
    for (var row = row0; row < min(sizes.rows, row0 + sizes.span); row++) {
      let place = placeOf(row);
      var slope = vec4f();
      if (place.sequence >= 0) {
        slope = dyAt(row, column);
        let inputs = inputsAt(row, place, column, first);
        if (isSilu) {
          var z = shift + weighted(taps, inputs);
          for (var other = 0u; other < width; other += 4) {
            if (other != first) {
              z += weighted(tapsAt(column, other), inputsAt(row, place, column, other));
            }
          }
          let open = sigmoid(z);
          slope *= open * (1 + z * (1 - open));
        }
        dTaps[0] += slope * inputs[0];
        dTaps[1] += slope * inputs[1];
        dTaps[2] += slope * inputs[2];
        dTaps[3] += slope * inputs[3];
        dBias += slope;
      }
      if (first == 0) {
        putDu(row, column, slope);
      }
    }
    for (var c = 0u; c < 4; c++) {
      if (column + c < sizes.channels) {
        for (var i = 0u; i < 4; i++) {
          if (first + i < width) {
            partials[parts + (column + c) * width + first + i] = dTaps[i][c];
          }
        }
        if (first == 0) {
          partials[parts + sizes.channels * width + column + c] = dBias[c];
        }
      }
    }
  }
}
