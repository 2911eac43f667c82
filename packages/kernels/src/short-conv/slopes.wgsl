// First stage of the gradients: du = dy ⊙ act′(z), where z are the sums before the activation, and each item's part of the gradients
// of taps and bias. Windows of more than four taps go over the rows once more for each further group of four.
fn goThroughRows(column: u32, item: u32) {
  let shift = biasAt(column);
  let row0 = item * sizes.span;
  let firstSum = (item * sizes.channels + channelsBefore) * (width + 1);
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
        if (isSilu()) {
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
        putDu(part * sizes.rows + row, column, slope);
      }
    }
    for (var c = 0u; c < 4; c++) {
      if (column + c < channels) {
        for (var i = 0u; i < 4; i++) {
          if (first + i < width) {
            sums[firstSum + (column + c) * width + first + i] = dTaps[i][c];
          }
        }
        if (first == 0) {
          sums[firstSum + channels * width + column + c] = dBias[c];
        }
      }
    }
  }
}

fn goThroughState(column: u32, sequence: u32) {}
