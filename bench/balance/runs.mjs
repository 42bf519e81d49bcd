/**
 * Every item with every seed, back and forth: runs are dealt out to the threads in turn, and none may
 * get all those that have the most to do.
 */
export function mixed(items, seeds) {
  return Array.from({ length: seeds }, (_, i) => {
    const order = i % 2 === 0 ? items : items.toReversed();
    return order.map((item) => ({ item, seed: i + 1 }));
  }).flat();
}
