package eval

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-ir/retort/internal/ndcg"
)

// Metric is a named measure of one ranking. The package's own come from [NDCG], [averagePrecision], [MRR], [Recall] and [precision];
// any other is a name and a function.
type Metric struct {
	Name  string // as printed: "ndcg@10"
	Value func(Ranking) float64
}

// Ranking is the input of a metric for one query.
type Ranking struct {
	// Grades holds the grades of the retrieved passages, best rank first; 0 for a passage without judgement.
	Grades []int
	// Relevant holds the grades, 1 or more, of all relevant passages of the query, retrieved or not, highest first.
	Relevant []int
}

// RankedBy ranks the passages of a list by scores, highest first; equal scores keep the order of the list. grades has
// one grade per passage, and missed the grades of relevant passages that are not in the list. It is for lists in
// memory; [Evaluate] ranks a [Run] with trec_eval's rule for equal scores.
func RankedBy(scores []float64, grades, missed []int) Ranking {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	var r Ranking
	for _, i := range order {
		r.Grades = append(r.Grades, grades[i])
	}
	for _, grade := range slices.Concat(grades, missed) {
		if grade > 0 {
			r.Relevant = append(r.Relevant, grade)
		}
	}
	slices.SortFunc(r.Relevant, func(a, b int) int { return cmp.Compare(b, a) })
	return r
}

// defaultMetrics returns nDCG@10, recall@100, averagePrecision and MRR@10.
func defaultMetrics() []Metric {
	return []Metric{NDCG(10), Recall(100), averagePrecision(), MRR(10)}
}

// NDCG is the normalised discounted cumulative gain of the first k ranks, in [0,1]: DCG@k of the ranking divided by the
// DCG@k of the best possible one, where DCG@k is the sum over ranks r <= k of grade(r) / log2(r+1) and a grade below 0
// counts as 0. It is trec_eval's ndcg_cut. k is at least 1.
//
// Reference: Järvelin, Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4).
func NDCG(k int) Metric {
	return atRank("ndcg", k, func(r Ranking) float64 {
		return ratio(ndcg.DCG(r.Grades, k), ndcg.DCG(r.Relevant, k))
	})
}

// averagePrecision is average precision, in [0,1]: the sum of the precision at the rank of every relevant passage retrieved, divided
// by the number of relevant passages. Its mean over the queries is averagePrecision. It is trec_eval's map and looks at the whole
// ranking.
func averagePrecision() Metric {
	return Metric{Name: "map", Value: func(r Ranking) float64 {
		var found, sum float64
		for i, grade := range r.Grades {
			if grade > 0 {
				found++
				sum += found / float64(i+1)
			}
		}
		return ratio(sum, float64(len(r.Relevant)))
	}}
}

// MRR is the reciprocal rank of the first relevant passage, in [0,1]; 0 if the first k ranks have none. Its mean over
// the queries is MRR@k. It is trec_eval's recip_rank with -M k. k is at least 1.
func MRR(k int) Metric {
	return atRank("mrr", k, func(r Ranking) float64 {
		for i, grade := range first(r.Grades, k) {
			if grade > 0 {
				return 1 / float64(i+1)
			}
		}
		return 0
	})
}

// Recall is the share of the relevant passages that are in the first k ranks, in [0,1]: trec_eval's recall_k. k is at
// least 1.
func Recall(k int) Metric {
	return atRank("recall", k, func(r Ranking) float64 {
		return ratio(relevant(first(r.Grades, k)), float64(len(r.Relevant)))
	})
}

// precision is the share of the first k ranks that hold a relevant passage: trec_eval's P_k. Ranks that the run leaves
// empty count as not relevant. k is at least 1.
func precision(k int) Metric {
	return atRank("precision", k, func(r Ranking) float64 {
		return relevant(first(r.Grades, k)) / float64(k)
	})
}

// ParseMetric returns the metric with the given name: ndcg@k, recall@k, mrr@k, precision@k or map.
func ParseMetric(name string) (Metric, error) {
	if name == "map" {
		return averagePrecision(), nil
	}
	kind, rank, _ := strings.Cut(name, "@")
	k, err := strconv.Atoi(rank)
	at, known := map[string]func(int) Metric{"ndcg": NDCG, "mrr": MRR, "recall": Recall, "precision": precision}[kind]
	if !known || err != nil || k < 1 {
		return Metric{}, fmt.Errorf("metric %q: want ndcg@K, recall@K, mrr@K or precision@K with K at least 1, or map",
			name)
	}
	return at(k), nil
}

// atRank returns a metric of the first k ranks. For k < 1 it has no function, and Evaluate returns an error.
func atRank(kind string, k int, value func(Ranking) float64) Metric {
	m := Metric{Name: fmt.Sprintf("%s@%d", kind, k)}
	if k >= 1 {
		m.Value = value
	}
	return m
}

func relevant(grades []int) float64 {
	n := 0
	for _, grade := range grades {
		if grade > 0 {
			n++
		}
	}
	return float64(n)
}

func first(grades []int, k int) []int {
	return grades[:min(k, len(grades))]
}

// ratio returns a / b, or 0 if b is 0 because nothing is relevant.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// Title is the metric's name as papers write it: nDCG@10.
func (m Metric) Title() string {
	return strings.NewReplacer("ndcg", "nDCG", "recall", "R", "precision", "P", "mrr", "MRR", "map", "MAP").Replace(m.Name)
}
