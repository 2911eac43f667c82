// The softmax over a row's scores, number by number: its largest score, and the sum that powers are divided by.
fn largestOf(start: u32) -> f32 {
  var largest = logits[start];
  for (var m = 1u; m < sizes.memories; m++) {
    largest = max(largest, logits[start + m]);
  }
  return largest;
}

fn totalOf(start: u32, largest: f32) -> f32 {
  var total = 0f;
  for (var m = 0u; m < sizes.memories; m++) {
    total += exp(logits[start + m] - largest);
  }
  return total;
}
