package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline/internal/report"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/jsonl"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/stretchr/testify/require"
)

// offices is a corpus of 48 passages, and six judged queries of it.
func offices(t *testing.T) (*retort.MemoryCorpus, *eval.Collection) {
	t.Helper()
	things := []string{"file", "server", "string", "number", "channel", "slice", "map", "clock"}
	acts := []string{"opens", "closes", "sorts", "copies", "counts", "prints"}
	var passages []retort.Passage
	judged := &eval.Collection{Qrels: eval.Qrels{}}
	for i, act := range acts {
		for j, thing := range things {
			p := retort.Passage{ID: fmt.Sprintf("p%d%d", i, j), Text: fmt.Sprintf(
				"It %s the %s that the caller names. The %s is then ready for other callers.", act, thing, thing)}
			passages = append(passages, p)
			if i == j {
				q := retort.Query{ID: fmt.Sprintf("q%d", i), Text: fmt.Sprintf("how it %s a %s", act, thing)}
				judged.Queries, judged.Qrels[q.ID] = append(judged.Queries, q), map[string]int{p.ID: 1}
			}
		}
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	judged.Corpus = corpus
	return corpus, judged
}

// small is a recipe of short steps.
func small(folder string, towers distill.Towers) Recipe {
	r := Recipe{Folder: folder, Towers: towers, Training: DefaultTraining(towers)}
	r.Training.Schedule.Epochs, r.Training.Schedule.QueriesPerStep = 2, 8
	return r
}

func specialised(t *testing.T, corpus retort.Corpus, r Recipe) *Outcome {
	t.Helper()
	student, err := encodertest.New(encodertest.Options{Dim: 8, Buckets: 64, Seed: 1})
	require.NoError(t, err)
	out, err := Specialise(t.Context(), student, corpus, r)
	require.NoError(t, err)
	return out
}

func TestARunLeavesAReportOfItsFigures(t *testing.T) {
	corpus, judged := offices(t)
	lists := []retort.List{
		{Query: retort.Query{ID: "l", Text: "how it works"}, IDs: []string{"p00", "p10", "p20"}, Scores: []float64{1, .5, 0}},
		{Query: retort.Query{ID: "m", Text: "how it sorts"}, IDs: []string{"p21", "p22"}, Scores: []float64{.25, 1}},
	}
	for name, c := range map[string]struct {
		towers distill.Towers
		change func(*Recipe)
		sets   []string // in the report and, beside it, in evaluate.jsonl
		scores int      // charts
	}{
		"query": {distill.QueryOnly, func(*Recipe) {}, []string{setHeldOut, setHeldOut}, 2},
		"both": {distill.Both, func(r *Recipe) {
			r.Mining = DefaultMining(distill.Both)
			r.Mining.Target = MinMax
		}, []string{setHeldOut, setHeldOut}, 3},
		"judged":       {distill.QueryOnly, func(r *Recipe) { r.Judged = judged }, []string{"your judged queries", setJudged}, 2},
		"judged, both": {distill.Both, func(r *Recipe) { r.Judged = judged }, []string{"your judged queries", setJudged}, 2},
		"widths":       {distill.QueryOnly, func(r *Recipe) { r.Widths = []int{8, 4, 2} }, []string{setHeldOut, setHeldOut}, 2},
		"widths, both, judged": {distill.Both, func(r *Recipe) {
			r.Judged, r.Widths = judged, []int{8, 3}
		}, []string{"your judged queries", setJudged}, 2},
		"last":      {distill.QueryOnly, func(r *Recipe) { r.KeepLast = true }, nil, 2},
		"own lists": {distill.QueryOnly, func(r *Recipe) { r.Lists = lists }, []string{setHeldOut, setHeldOut}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			run := filepath.Join(t.TempDir(), "run")
			recipe := small(run, c.towers)
			c.change(&recipe)
			specialised(t, corpus, recipe)
			d, err := report.Load(run + "/report.json")
			require.NoError(t, err)
			require.NoError(t, d.Validate())
			require.Equal(t, "run", d.Title)

			requireSets(t, run, d, c.sets)
			requireTraining(t, run, d)
			requireScores(t, run, d, c.scores)
			requireManifest(t, run, d)

			page := read(t, run+"/report.html")
			require.NoError(t, os.Remove(run+"/report.html"))
			path, err := MakePage(t.Context(), run)
			require.NoError(t, err)
			require.Equal(t, page, read(t, path))
			data := read(t, run+"/report.json")
			require.NoError(t, os.Remove(run+"/report.json"))
			specialised(t, corpus, recipe)
			require.Equal(t, data, read(t, run+"/report.json"), "a call that does nothing changes nothing")
		})
	}
}

// requireSets wants the means of evaluate.jsonl, and passages of the queries that changed.
func requireSets(t *testing.T, run string, d report.Data, names []string) {
	t.Helper()
	if names == nil {
		require.Empty(t, d.Sets)
		require.Contains(t, d.Missing[report.SectionQuality], "the last student was taken")
		return
	}
	require.Len(t, d.Sets, 1)
	set := d.Sets[0]
	require.Equal(t, names[0], set.Name)
	records, err := results.Load(run)
	require.NoError(t, err)
	for _, m := range set.Metrics {
		metric := strings.NewReplacer("nDCG", "ndcg", "R@", "recall@", "MRR", "mrr").Replace(m.Name)
		for system, mean := range map[string]*float64{results.Before: m.Before, results.After: m.After, results.BM25: m.BM25, results.Teacher: m.Teacher} {
			of := results.Of(records, names[1], system)
			narrow := strings.Contains(metric, " dim ")
			if len(of) == 0 || narrow && (system == results.BM25 || system == results.Teacher) {
				require.Nil(t, mean)
				continue
			}
			sum := 0.0
			for _, r := range of {
				sum += r.Metrics[metric]
			}
			require.InDelta(t, sum/float64(len(of)), *mean, 1e-9, "%s of %s", metric, system)
		}
		require.InDelta(t, *m.After-*m.Before, m.Difference.Delta, 1e-9)
	}
	before := results.Of(records, names[1], results.Before)
	helped, hurt := set.Extremes(report.ExtremeQueries)
	for _, i := range append(helped, hurt...) {
		g := set.Gains[i]
		require.NotEmpty(t, g.Text)
		require.Len(t, g.TopBefore, 5)
		for rank, h := range g.TopBefore {
			require.Equal(t, before[g.ID].Top[rank], h.ID)
			require.NotEmpty(t, h.Text)
			if rank > 0 {
				require.LessOrEqual(t, h.Score, g.TopBefore[rank-1].Score+1e-5, "the model as it was ranked so")
			}
		}
		for rank, h := range g.TopAfter[1:] {
			require.LessOrEqual(t, h.Score, g.TopAfter[rank].Score+1e-5, "the student that was kept ranks so")
		}
	}
}

func requireTraining(t *testing.T, run string, d report.Data) {
	t.Helper()
	var figures struct{ Training distill.Result }
	require.NoError(t, json.Unmarshal([]byte(read(t, run+"/results.json")), &figures))
	require.Len(t, d.Training.Steps, figures.Training.Steps)
	require.Len(t, d.Training.Evaluations, len(figures.Training.History))
	for i, e := range figures.Training.History {
		require.Equal(t, report.Evaluation{Step: e.Step, Score: e.Score}, d.Training.Evaluations[i])
	}
	require.Equal(t, figures.Training.Best.Step, d.Training.BestStep)
	require.NotEmpty(t, d.Outcome)
}

func requireScores(t *testing.T, run string, d report.Data, charts int) {
	t.Helper()
	require.Len(t, d.Scores, charts)
	if _, err := os.Stat(run + "/score.jsonl"); errors.Is(err, fs.ErrNotExist) {
		return // of own lists
	}
	lists, scores := 0, 0
	for l, err := range jsonl.ReadFile[retort.List](run+"/score.jsonl", nil) {
		require.NoError(t, err)
		lists, scores = lists+1, scores+len(l.Scores)
	}
	require.Equal(t, scores, d.Scores[0].Series[0].Histogram.Total())
	student := d.Scores[1]
	require.Equal(t, student.Series[0].Histogram.Total(), student.Series[1].Histogram.Total())
	require.NotEqual(t, student.Series[0].Histogram, report.Histogram{})
	last := d.Funnel.Filters[len(d.Funnel.Filters)-1].Total()
	require.GreaterOrEqual(t, last.Kept, lists)
}

func requireManifest(t *testing.T, run string, d report.Data) {
	t.Helper()
	m, err := runfolder.ReadManifest(run, runfolder.Pipeline)
	require.NoError(t, err)
	require.Equal(t, "encode passages", d.Stages[0].Name)
	require.Positive(t, d.Stages[0].Seconds)
	require.Len(t, d.Stages, 1+len(m.Stages))
	hashes := map[string]string{}
	for _, h := range d.Hashes {
		hashes[h.Name] = h.SHA256
		require.NotEmpty(t, h.SHA256)
	}
	for _, e := range m.Stages {
		require.Equal(t, e.SHA256, hashes[e.Name])
	}
	require.Equal(t, m.Inputs["corpus"], hashes["corpus"])
	require.Equal(t, m.Inputs["student"], hashes["student"])
	settings := map[string]string{}
	for _, s := range d.Settings {
		settings[s.Name] = s.Value
	}
	require.Equal(t, "2", settings["epochs"])
	require.NotEqual(t, "0", settings["lr"], "what was taken, not what was left out")
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}
