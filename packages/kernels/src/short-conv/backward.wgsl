// The gradients. With z the sums before the activation, du = dy ⊙ act′(z), and a row gets du of the rows that read it, at most W of them,
// times their taps: an item goes backwards through its rows, from the last that read them on, and holds du of the last four. It leaves
// its part of the gradients of taps and bias. Windows of more than four taps go over the rows once more for each further group of four;
// groups are counted from the last tap, which reads its own row. Taps before the first one, if the last group has any, are 0.
fn firstTap(nearest: u32) -> u32 {
  return width - 4 - nearest;
}

/** du of a row, with one group of taps and their inputs at hand. */
fn slopeOf(row: u32, place: Place, column: u32, nearest: u32, taps: mat4x4f, inputs: mat4x4f) -> vec4f {
  let slope = dyAt(row, column);
  if (!isSilu()) {
    return slope;
  }
  var z = biasAt(column) + weighted(taps, inputs);
  for (var other = 0u; other < width; other += 4) {
    if (other != nearest) {
      z += weighted(tapsAt(column, firstTap(other)), inputsAt(row, place, column, firstTap(other)));
    }
  }
  let open = sigmoid(z);
  return slope * open * (1 + z * (1 - open));
}

fn goThroughRows(column: u32, item: u32) {
  let row0 = item * sizes.span;
  let end = min(sizes.rows, row0 + sizes.span);
  let firstSum = (item * sizes.channels + channelsBefore) * (width + 1);
  for (var nearest = 0u; nearest < width; nearest += 4) {
    let taps = tapsAt(column, firstTap(nearest));
    var dTaps = mat4x4f();
    var dBias = vec4f();
    /** Of the reader and the three behind it. */
    var slopes = mat4x4f();
    for (var readers = min(sizes.rows, end + min(nearest + 3, width - 1)); readers > row0; readers--) {
      let reader = readers - 1;
      let place = placeOf(reader);
      var slope = vec4f();
      if (place.sequence >= 0) {
        let inputs = inputsAt(reader, place, column, firstTap(nearest));
        slope = slopeOf(reader, place, column, nearest, taps, inputs);
        if (reader < end) {
          dTaps[0] += slope * inputs[0];
          dTaps[1] += slope * inputs[1];
          dTaps[2] += slope * inputs[2];
          dTaps[3] += slope * inputs[3];
          dBias += slope;
        }
      }
      slopes = mat4x4f(slope, slopes[0], slopes[1], slopes[2]);
      if (reader >= row0 + nearest && reader < end + nearest) {
        giveRow(reader - nearest, column, nearest, taps, slopes);
      }
    }
    leaveSums(firstSum, column, nearest, dTaps, dBias);
  }
}

/** What a row gets from the rows that lie `nearest` … `nearest` + 3 behind it, and from the state after its sequence where it is passed on to that. */
fn giveRow(row: u32, column: u32, nearest: u32, taps: mat4x4f, slopes: mat4x4f) {
  let place = placeOf(row);
  var sum = vec4f();
  if (nearest > 0) {
    sum = dxAt(row, column);
  }
  if (place.sequence >= 0) {
    let length = u32(lengths[place.sequence]);
    if (nearest == 0 && place.position + width >= length) {
      sum = dLastAt(u32(place.sequence), column, place.position + width - length);
    }
    // Rows of the sequence from this one on: what lies behind them is another's.
    let rest = length - place.position;
    sum += select(vec4f(), taps[3] * slopes[0], nearest < rest);
    sum += select(vec4f(), taps[2] * slopes[1], nearest + 1 < rest);
    sum += select(vec4f(), taps[1] * slopes[2], nearest + 2 < rest);
    sum += select(vec4f(), taps[0] * slopes[3], nearest + 3 < rest);
  }
  putDx(row, column, sum);
}

fn dLastAt(sequence: u32, column: u32, entry: u32) -> vec4f {
  return dStateAt((sequence * channels + column) * width + entry);
}

fn leaveSums(firstSum: u32, column: u32, nearest: u32, dTaps: mat4x4f, dBias: vec4f) {
  // Loops of constant length are unrolled, and what is indexed stays in registers.
  for (var c = 0u; c < 4; c++) {
    if (column + c < channels) {
      for (var i = 0u; i < 4; i++) {
        let tap = firstTap(nearest) + i;
        if (tap < width) {
          sums[firstSum + (column + c) * width + tap] = dTaps[i][c];
        }
      }
      if (nearest == 0) {
        sums[firstSum + channels * width + column + c] = dBias[c];
      }
    }
  }
}

/** Entry e of the state before is token e − W. */
fn goThroughState(column: u32, sequence: u32) {
  let length = u32(lengths[sequence]);
  let start = u32(starts[sequence]);
  let taps = tapsAt(column, firstTap(0));
  for (var entry = 0u; entry < width; entry++) {
    var sum = vec4f();
    if (entry >= length) {
      sum = dLastAt(sequence, column, entry - length);
    }
    for (var tap = 0u; tap < entry; tap++) {
      let position = entry - 1 - tap;
      if (position < length) {
        let row = start + position;
        let place = Place(i32(sequence), position);
        let slope = slopeOf(row, place, column, 0, taps, inputsAt(row, place, column, firstTap(0)));
        sum += tapAt(column, tap) * slope;
      }
    }
    putDInitialState((sequence * channels + column) * width + entry, channels - column, sum);
  }
}
