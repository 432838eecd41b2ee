package teacher_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/teacher"
)

// A free teacher: the sum of a lexical and a dense ranker, each brought to the same scale within the list.
func Example() {
	overlap := teacher.Func(func(_ context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
		scores := make([]float64, len(passages))
		for i, p := range passages {
			for _, word := range strings.Fields(q.Text) {
				if strings.Contains(p.Content(), word) {
					scores[i]++
				}
			}
		}
		return scores, nil
	})
	dense := teacher.Func(func(context.Context, retort.Query, []retort.Passage) ([]float64, error) {
		return []float64{.71, .64, .12}, nil // stands for teacher.FromEncoder(student)
	})
	both, err := teacher.NewEnsemble(
		teacher.Member{Name: "lexical", Teacher: overlap},
		teacher.Member{Name: "student", Teacher: dense, Weight: .5},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	scores, err := teacher.Score(context.Background(), both, retort.Query{ID: "q", Text: "close a file"}, []retort.Passage{
		{ID: "os.Open", Text: "opens the named file for reading"},
		{ID: "os.File.Close", Text: "closes a file, rendering it unusable for I/O"},
		{ID: "math.Sqrt", Text: "returns the square root of x"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	target, err := teacher.MinMax(scores)
	fmt.Printf("%.2f %v\n", target, err)
	// Output: [0.68 1.00 0.00] <nil>
}

// Scores are computed once, also over several runs of a program.
func ExampleCached() {
	dir, err := os.MkdirTemp("", "scores")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := teacher.OpenStore(context.Background(), filepath.Join(dir, "scores.jsonl"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	slow := teacher.Func(func(_ context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
		fmt.Println("asked about", len(passages))
		return make([]float64, len(passages)), nil
	})
	cached, err := teacher.Cached(teacher.WithFingerprint(slow, "slow v1"), store)
	if err != nil {
		fmt.Println(err)
		return
	}
	q := retort.Query{ID: "q", Text: "close a file"}
	a, b := retort.Passage{ID: "a", Text: "closes a file"}, retort.Passage{ID: "b", Text: "opens a file"}
	for _, list := range [][]retort.Passage{{a}, {a, b}, {b, a}} {
		if _, err := cached.Score(context.Background(), q, list); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(store.Len(), "scores")
	// Output:
	// asked about 1
	// asked about 1
	// 2 scores
}

// A target that starts at the student and adds what the teacher knows better.
func ExampleOnStudentScale() {
	before := []float64{.60, .58, .20} // the student's similarities before training
	z := teacher.ZScores([]float64{3.1, 9.4, 1.2})
	const tau = .05 // the temperature of both sides of the loss
	target, err := teacher.OnStudentScale(before, z, tau, .7)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f\n", target)
	// Output: [0.585 0.628 0.166]
}

// Weights are fitted on judged lists of a dev split, and taken where that pays on lists that were not fitted on.
func ExampleFitWeights() {
	var lists []teacher.Judged
	for i := range 40 {
		grades := []int{0, 0, 0, 0}
		grades[i%4] = 1 // what answers the query
		good, poor := []float64{1, 1, 1, 1}, []float64{4, 3, 2, 1}
		good[i%4] = 2 // which the first teacher finds, and the second always says the same
		lists = append(lists, teacher.Judged{Scores: [][]float64{good, poor}, Grades: grades})
	}
	weights, err := teacher.FitWeights(context.Background(), lists, teacher.WeightOptions{
		Split: "train", Names: []string{"good", "poor"},
	})
	fmt.Println(weights, err)
	// Output:
	// weights of z-scores fitted on train (40 queries): good 1.5, poor 1, nDCG@10 .908 to 1.000; cross-validated +0.092 [+0.046, +0.138], p .002 <nil>
}

// Many lists are scored at the same time and come out in their order.
func ExampleScoreAll() {
	words := teacher.Func(func(_ context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
		scores := make([]float64, len(passages))
		for i, p := range passages {
			scores[i] = float64(strings.Count(p.Text, q.Text))
		}
		return scores, nil
	})
	lists := func(yield func(teacher.Work, error) bool) {
		for _, word := range []string{"a", "file"} {
			work := teacher.Work{Query: retort.Query{ID: word, Text: word}, Passages: []retort.Passage{{ID: "1", Text: "close a file"}}}
			if !yield(work, nil) {
				return
			}
		}
	}
	for work, scored := range teacher.ScoreAll(context.Background(), words, lists, 0) {
		fmt.Println(work.Query.ID, scored.Scores, scored.Err)
	}
	// Output:
	// a [1] <nil>
	// file [1] <nil>
}
