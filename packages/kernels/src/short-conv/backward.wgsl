// Second stage of the gradients: dx, and that of the states before the sequences. What a row, or an entry of such a state, gets
// comes from the rows that read it, at most W of them, and from the state after the sequence where it is passed on to that.
fn dLastAt(sequence: u32, column: u32, entry: u32) -> vec4f {
  return dStateAt((sequence * channels + column) * width + entry);
}

fn goThroughRows(column: u32, item: u32) {
  let row0 = item * sizes.span;
  let firstTaps = tapsAt(column, 0);
  for (var row = row0; row < min(sizes.rows, row0 + sizes.span); row++) {
    let place = placeOf(row);
    var sum = vec4f();
    if (place.sequence >= 0) {
      let length = u32(lengths[place.sequence]);
      if (place.position + width >= length) {
        sum = dLastAt(u32(place.sequence), column, place.position + width - length);
      }
      let rest = length - place.position;
      for (var first = 0u; first < width; first += 4) {
        var taps = firstTaps;
        if (first > 0) {
          taps = tapsAt(column, first);
        }
        sum += taps[0] * slopeAt(row, column, first, rest);
        sum += taps[1] * slopeAt(row, column, first + 1, rest);
        sum += taps[2] * slopeAt(row, column, first + 2, rest);
        sum += taps[3] * slopeAt(row, column, first + 3, rest);
      }
    }
    putDx(row, column, sum);
  }
}

/** du of the row that reads `row` by a tap, if it is among the `rest` rows of the sequence from `row` on. */
fn slopeAt(row: u32, column: u32, tap: u32, rest: u32) -> vec4f {
  let distance = width - 1 - tap;
  if (tap >= width || distance >= rest) {
    return vec4f();
  }
  return duAt(part * sizes.rows + row + distance, column);
}

/** Entry e of the state before is token e − W. */
fn goThroughState(column: u32, sequence: u32) {
  let length = u32(lengths[sequence]);
  let start = u32(starts[sequence]);
  for (var entry = 0u; entry < width; entry++) {
    var sum = vec4f();
    if (entry >= length) {
      sum = dLastAt(sequence, column, entry - length);
    }
    for (var tap = 0u; tap < entry; tap++) {
      let reader = entry - 1 - tap;
      if (reader < length) {
        sum += tapAt(column, tap) * duAt(part * sizes.rows + start + reader, column);
      }
    }
    putDInitialState((sequence * channels + column) * width + entry, channels - column, sum);
  }
}
