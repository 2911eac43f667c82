// y_t = act(bias + Σ_w weight[w]·x_{t−W+1+w}) along sequences, and the state after each: its last W inputs. An item is `span` rows,
// or, behind those, the state of a sequence.
fn goThroughRows(column: u32, item: u32) {
  let row0 = item * sizes.span;
  let firstTaps = tapsAt(column, 0);
  let shift = biasAt(column);
  for (var row = row0; row < min(sizes.rows, row0 + sizes.span); row++) {
    let place = placeOf(row);
    var z = vec4f();
    if (place.sequence >= 0) {
      z = shift + weighted(firstTaps, inputsAt(row, place, column, 0));
      for (var first = 4u; first < width; first += 4) {
        z += weighted(tapsAt(column, first), inputsAt(row, place, column, first));
      }
      if (isSilu()) {
        z *= sigmoid(z);
      }
    }
    putY(row, column, z);
  }
}

/** Entry j is token L − W + j of the sequence, or entry L + j of the state before it. */
fn goThroughState(column: u32, sequence: u32) {
  let length = u32(lengths[sequence]);
  for (var entry = 0u; entry < width; entry++) {
    var value = vec4f();
    if (length + entry >= width) {
      value = xAt(u32(starts[sequence]) + length + entry - width, column);
    } else {
      value = initialAt(sequence, column, length + entry);
    }
    putState((sequence * channels + column) * width + entry, channels - column, value);
  }
}
