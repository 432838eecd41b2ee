package eval

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Report holds the value of every metric for every judged query. Its JSON form holds the means:
// {"ndcg@10":0.41,...,"queries":111}, in the order of Metrics.
type Report struct {
	Metrics []string    // names
	Queries []string    // ids, ascending
	Values  [][]float64 // [metrics x queries]
}

// Evaluate computes the metrics (nDCG@10, recall@100, averagePrecision and MRR@10 where none is given) for every query that has
// judgements; the package comment says how ties, missing queries and grades below 1 count. Judgements and run are only
// read. A passage that occurs twice for a query and a score that is not finite are errors. It takes about a tenth of a
// second a million hits.
func Evaluate(qrels Qrels, run Run, metrics ...Metric) (*Report, error) {
	if len(qrels) == 0 {
		return nil, errors.New("evaluate: no judgements")
	}
	if len(metrics) == 0 {
		metrics = defaultMetrics()
	}
	report := &Report{Queries: slices.Sorted(maps.Keys(qrels))}
	for _, m := range metrics {
		if err := report.addMetric(m); err != nil {
			return nil, fmt.Errorf("evaluate: %w", err)
		}
	}
	var ranker ranker
	var ranking Ranking
	for i, query := range report.Queries {
		hits, err := ranker.rank(run[query])
		if err != nil {
			return nil, fmt.Errorf("evaluate: query %q: %w", query, err)
		}
		ranking.fill(hits, qrels[query])
		for j, m := range metrics {
			value := m.Value(ranking)
			if math.IsNaN(value) || math.IsInf(value, 0) {
				return nil, fmt.Errorf("evaluate: query %q: metric %s is %v, want a finite number", query, m.Name, value)
			}
			report.Values[j][i] = value
		}
	}
	return report, nil
}

// Of returns the metric's values, one per query in the order of Queries, or nil if the report does not have the metric.
func (r Report) Of(m Metric) []float64 {
	i := slices.Index(r.Metrics, m.Name)
	if i < 0 {
		return nil
	}
	return r.Values[i]
}

// Mean returns the metric's mean over all judged queries, or NaN if the report does not have the metric.
func (r Report) Mean(m Metric) float64 {
	return mean(r.Of(m))
}

// MarshalJSON writes the means and the number of queries.
func (r Report) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range r.Metrics {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(mean(r.Values[i]))
		if err != nil {
			return nil, fmt.Errorf("mean of %s: %w", name, err)
		}
		fmt.Fprintf(&b, "%s:%s,", key, value)
	}
	fmt.Fprintf(&b, `"queries":%d}`, len(r.Queries))
	return b.Bytes(), nil
}

// addMetric makes room for a metric's values.
func (r *Report) addMetric(m Metric) error {
	switch {
	case m.Name == "" || m.Name == "queries":
		return fmt.Errorf("a metric cannot be named %q", m.Name)
	case m.Value == nil:
		return fmt.Errorf("metric %s has no function; a rank after @ must be at least 1", m.Name)
	case slices.Contains(r.Metrics, m.Name):
		return fmt.Errorf("metric %s is given twice", m.Name)
	}
	r.Metrics = append(r.Metrics, m.Name)
	r.Values = append(r.Values, make([]float64, len(r.Queries)))
	return nil
}

// fill sets the ranking of one query, reusing the memory of the previous one.
func (r *Ranking) fill(hits []Hit, grades map[string]int) {
	r.Grades, r.Relevant = r.Grades[:0], r.Relevant[:0]
	for _, hit := range hits {
		r.Grades = append(r.Grades, grades[hit.ID])
	}
	for _, grade := range grades {
		if grade > 0 {
			r.Relevant = append(r.Relevant, grade)
		}
	}
	slices.SortFunc(r.Relevant, func(a, b int) int { return cmp.Compare(b, a) })
}

func mean(values []float64) float64 {
	return sum(values) / float64(len(values))
}

func sum(values []float64) float64 {
	var s float64
	for _, v := range values {
		s += v
	}
	return s
}
