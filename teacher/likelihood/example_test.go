package likelihood_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/teacher"
	"github.com/retort-ir/retort/teacher/likelihood"
)

// parrot finds likely what it has just read. generate/causallm opens real models.
type parrot struct{}

func (parrot) Fingerprint() string { return "parrot 1" }

func (parrot) MeanLogLikelihoods(_ context.Context, prompts [][2]string, continuations [][]string) ([][]float64, error) {
	means := make([][]float64, len(prompts))
	for i, p := range prompts {
		for _, c := range continuations[i] {
			mean := -3.0
			if strings.Contains(p[0], strings.TrimSpace(c)) {
				mean = -0.5
			}
			means[i] = append(means[i], mean)
		}
	}
	return means, nil
}

func Example() {
	t, err := likelihood.New(parrot{}, likelihood.Options{})
	if err != nil {
		log.Fatal(err)
	}
	scores, err := teacher.Score(context.Background(), t, retort.Query{ID: "q", Text: "green tea"}, []retort.Passage{
		{ID: "a", Text: "A retort is a vessel."},
		{ID: "b", Text: "Why green tea is green."},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(scores)
	// Output: [-3 -0.5]
}
