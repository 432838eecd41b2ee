package losstorch

// shape is that of the similarities held at a time.
type shape struct{ rows, columns int }

// fewRows is how many whole rows must fit in the budget; below it the products of matrices are too thin to be fast, and
// computing similarities twice is cheaper.
const fewRows = 32

// tileShape returns the shape for n queries and m passages, of no more elements than the budget has room for, but one.
func tileShape(n, m int, budget, perElement int64) shape {
	room := int(max(1, min(budget/perElement, int64(n)*int64(m))))
	if rows := room / m; rows >= min(n, fewRows) {
		return shape{min(rows, n), m}
	}
	rows := min(n, fewRows, room)
	return shape{rows, min(m, room/rows)}
}

// elementBytes returns what one similarity costs on the device: itself, the exponentials of each InfoNCE in float64,
// the gradient in the products' precision, the logs of counts that differ from row to row.
func elementBytes(infoNCEs int, size int64, ownCounts bool) int64 {
	bytes := 2*size + 8*int64(infoNCEs)
	if ownCounts {
		bytes += 8
	}
	return bytes
}
