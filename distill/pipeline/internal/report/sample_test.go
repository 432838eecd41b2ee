package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/distill/pipeline/internal/report"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/mine"
)

// sample is a run with everything that a page shows. Its numbers are made up and look like a run's.
func sample(t testing.TB) report.Data {
	t.Helper()
	madeOnce.Do(func() {
		var err error
		made, err = json.Marshal(makeSample(t))
		require.NoError(t, err)
	})
	var d report.Data
	require.NoError(t, json.Unmarshal(made, &d), "a copy of its own for every test")
	return d
}

var (
	madeOnce sync.Once
	made     []byte
)

func makeSample(t testing.TB) report.Data {
	return report.Data{
		Version: report.Version,
		Title:   "godoc",
		Created: time.Date(2026, 11, 23, 11, 51, 0, 0, time.UTC),
		Facts: []report.Setting{
			{Name: "student", Value: "all-MiniLM-L6-v2, 384 dimensions"},
			{Name: "teacher", Value: "BM25 and the student, fused by z-scores"},
			{Name: "corpus", Value: "the documentation of Go 1.26.8, 7,618 passages"},
			{Name: "trained", Value: "query side, 3,961 lists of 100"},
		},
		Outcome:  "The student after step 372 of 372 was kept: it was the best of 13 by known-item MRR@10.",
		Sets:     []report.QuerySet{judged(t, "written queries, test half", 296, 0.035, 1), judged(t, "doc sentences of examples", 84, 0.1, 2)},
		Training: sampleTraining(372),
		Funnel:   sampleFunnel(),
		Scores:   sampleScores(t),
		Stages: []report.Stage{
			{Name: "corpus", Seconds: 0.8, PeakBytes: 61 << 20, Records: 7618, Unit: "passages"},
			{Name: "generate", Seconds: 6.2, PeakBytes: 240 << 20, Records: 4000, Unit: "queries"},
			{Name: "mine", Seconds: 48.5, PeakBytes: 410 << 20, Records: 3961, Unit: "lists", Note: "resumed once"},
			{Name: "score", Seconds: 11, PeakBytes: 420 << 20, Records: 396100, Unit: "scores"},
			{Name: "filter", Seconds: 0.4, PeakBytes: 420 << 20, Records: 3961, Unit: "lists"},
			{Name: "train", Seconds: 148, PeakBytes: 1430 << 20, Records: 372, Unit: "steps"},
			{Name: "evaluate", Seconds: 9.7, PeakBytes: 900 << 20},
		},
		Settings: []report.Setting{
			{Name: "generate.types", Value: "sentence,howto"},
			{Name: "mine.depth", Value: "100"},
			{Name: "train.loss", Value: "listwise KL, teacher temperature .3, student temperature .05"},
			{Name: "train.lr", Value: "2e-4"},
			{Name: "seed", Value: "1"},
			{Name: "versions", Value: "retort (devel), go1.26.8, LibTorch 2.15.0"},
		},
		Hashes: []report.Hash{
			{Name: "corpus", Path: "corpus.jsonl", SHA256: strings.Repeat("3f9a", 16), Bytes: 2174336},
			{Name: "model", Path: "model/", SHA256: strings.Repeat("07bc", 16), Bytes: 90864192},
		},
	}
}

// judged makes a set of n queries by report.Judged, the extreme ones with texts and passages.
func judged(t testing.TB, name string, n int, shift float64, seed uint64) report.QuerySet {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	evaluation := func(shift float64, of *eval.Report) *eval.Report {
		r := &eval.Report{Metrics: []string{"ndcg@10", "recall@100", "mrr@10"}}
		for q := range n {
			r.Queries = append(r.Queries, fmt.Sprintf("q%04d", q))
		}
		for m := range r.Metrics {
			values := make([]float64, n)
			for q := range values {
				switch {
				case of == nil:
					values[q] = math.Max(0, math.Min(1, 0.36+0.3*random.NormFloat64()))
				case random.IntN(2) == 0:
					values[q] = of.Values[m][q]
				default:
					values[q] = math.Max(0, math.Min(1, of.Values[m][q]+2*shift+0.2*random.NormFloat64()))
				}
			}
			r.Values = append(r.Values, values)
		}
		return r
	}
	before := evaluation(0, nil)
	set, err := report.Judged(context.Background(), name, report.Systems{
		BM25: evaluation(-0.05, before), Before: before, Teacher: evaluation(0.03, before), After: evaluation(shift, before),
	}, 1)
	require.NoError(t, err)
	helped, hurt := set.Extremes(report.ExtremeQueries)
	for _, i := range append(helped, hurt...) {
		g := &set.Gains[i]
		g.Text = fmt.Sprintf("how do I stop a server without dropping the requests that are under way (%d)", i)
		g.TopBefore, g.TopAfter = samplePassages(i), samplePassages(i+2)
		g.FirstBefore, g.FirstAfter = 1+i%40, 1+i%7
	}
	return set
}

func samplePassages(n int) []report.Hit {
	names := []string{
		"http.Server.Shutdown", "http.Server.Close", "context.WithTimeout", "signal.NotifyContext", "net.Listener", "http.Server.RegisterOnShutdown",
		"sync.WaitGroup.Wait",
	}
	var hits []report.Hit
	for rank := range 5 {
		name := names[(n+rank)%len(names)]
		hits = append(hits, report.Hit{
			ID: name, Title: name, Score: 0.71 - 0.04*float64(rank), Grade: map[bool]int{true: 1}[name == names[0]],
			Text: "Shutdown gracefully shuts down the server without interrupting any active connections. " +
				"Shutdown works by first closing all open listeners, then closing all idle connections, and then waiting indefinitely " +
				"for connections to return to idle and then shut down.",
		})
	}
	return hits
}

func sampleTraining(steps int) *report.Training {
	random := rand.New(rand.NewPCG(1, 1))
	training := &report.Training{Loss: "listwise KL", DevMeasure: "known-item MRR@10", TotalSteps: steps}
	best := 0.0
	for step := range steps + 1 {
		at := float64(step) / float64(steps)
		if step > 0 {
			training.Steps = append(training.Steps, report.Step{Step: step, Loss: 0.3 + 0.5*math.Exp(-4*at) + 0.05*random.NormFloat64()})
		}
		if step%31 == 0 {
			score := 0.76 + 0.045*(1-math.Exp(-3*at)) + 0.003*random.NormFloat64()
			training.Evaluations = append(training.Evaluations, report.Evaluation{Step: step, Score: score})
			if score > best {
				best, training.BestStep = score, step
			}
		}
	}
	return training
}

func sampleFunnel() mine.Funnel {
	return mine.Funnel{Filters: []mine.FilterCount{
		{
			Name: "near-duplicates", Types: map[string]mine.TypeCount{"sentence": {Kept: 2310, Dropped: 41}, "howto": {Kept: 2202, Dropped: 12}, "": {Kept: 60}},
			Reasons: map[mine.Reason]int{"near-duplicate": 53},
		},
		{
			Name: "round trip in top 20", Types: map[string]mine.TypeCount{"sentence": {Kept: 2177, Dropped: 133}, "howto": {Kept: 1890, Dropped: 312}, "": {Kept: 60}},
			Reasons: map[mine.Reason]int{"source not in the top k": 445},
		},
		{
			Name: "teacher's top score", Types: map[string]mine.TypeCount{"sentence": {Kept: 2100, Dropped: 77}, "howto": {Kept: 1801, Dropped: 89}, "": {Kept: 60}},
			Reasons: map[mine.Reason]int{"top score too low": 166},
		},
	}}
}

func sampleScores(t testing.TB) []report.Distribution {
	random := rand.New(rand.NewPCG(3, 3))
	draw := func(low, high, mean, deviation float64) report.Histogram {
		h, err := report.NewHistogram(low, high, 50)
		require.NoError(t, err)
		for range 20_000 {
			h.Add(mean + deviation*random.NormFloat64())
		}
		return *h
	}
	return []report.Distribution{
		{Title: "The teacher's scores", Axis: "target, min-max scaled per list", Series: []report.Series{{Name: "teacher", Histogram: draw(0, 1, 0.3, 0.15)}}},
		{Title: "The student's scores on the same lists", Axis: "cosine similarity", Series: []report.Series{
			{Name: "after", Histogram: draw(-1, 1, 0.42, 0.12)}, {Name: "before", Histogram: draw(-1, 1, 0.35, 0.1)},
		}},
	}
}
