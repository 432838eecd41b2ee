package loss_test

import (
	"fmt"

	"github.com/retort-ir/retort/loss"
)

// The paper's joint loss of one query: five passages are in the step, three of them in the query's own list.
func ExamplePaper() {
	row := loss.Row{
		ID:       "q1",
		List:     []int32{0, 2, 4},
		Teacher:  []float64{0.9, 0.7, 0.1}, // 0.7 is above 0.6 x 0.9: no negative of InfoNCE
		Positive: 0,
		Count:    []float32{1, 3, 2, 1, 1}, // passage 1 stands in three lists of the step
	}
	sim := []float32{0.62, 0.60, 0.65, 0.41, 0.58}
	grad := make([]float32, len(sim))
	value, err := loss.Paper().Row(&row, sim, grad, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("loss %.3f\n", value)
	for i, g := range grad {
		fmt.Printf("passage %d: %+.2f\n", i, g)
	}
	// Output:
	// loss 0.269
	// passage 0: -9.50
	// passage 1: +2.85
	// passage 2: +4.65
	// passage 3: +0.00
	// passage 4: +2.00
}

// squared is the mean squared difference between similarities and teacher scores: a loss of one's own.
type squared struct{}

func (squared) Row(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
	if err := r.Check(sim, grad); err != nil {
		return 0, err
	}
	var sum float64
	k := r.Factor() / float64(max(1, len(r.List)))
	for i, c := range r.List {
		diff := float64(sim[c]) - r.Teacher[i]
		sum += k * diff * diff
		grad[c] += float32(scale * k * 2 * diff)
	}
	return sum, nil
}

// A loss of one's own is ten lines, and losstest.TestLoss tests it. Row.Check makes it refuse what is malformed.
func ExampleLoss() {
	var l loss.Loss = loss.Sum{{Weight: 1, Loss: loss.ListwiseKL{}}, {Weight: 0.5, Loss: squared{}}}
	row := loss.Row{ID: "q1", List: []int32{0, 1}, Teacher: []float64{1, 0.5}, Positive: -1}
	grad := make([]float32, 3)
	value, err := l.Row(&row, []float32{0.5, 0.5, 0.5}, grad, 1)
	fmt.Printf("%.4f %.4f %v\n", value, grad, err)

	row.List[1] = 7
	_, err = l.Row(&row, []float32{0.5, 0.5, 0.5}, grad, 1)
	fmt.Println(err)
	// Output:
	// 0.3179 [-7.0726 6.8226 0.0000] <nil>
	// loss of query "q1": list column 7 is out of range: there are 3 similarities
}
