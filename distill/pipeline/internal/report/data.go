package report

import (
	"time"

	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/mine"
)

// Version is that of the form of report.json. A file of another version is not read.
const Version = 1

// Data is the content of a report. The zero value is a report of a run that says nothing. All texts may hold anything;
// they are shown as they are, never as markup. No number may be NaN, infinite, or beyond 1e15 either way.
type Data struct {
	// Version is set by Save.
	Version int `json:"version"`
	// Title names the run: the last part of its folder's path.
	Title string `json:"title"`
	// Created is when the evaluation ended; zero: not shown.
	Created time.Time `json:"created,omitzero"`
	// Facts stand below the title: what the student, the teacher and the corpus are. A handful, in the order of the page.
	Facts []Setting `json:"facts,omitempty"`
	// Outcome is one sentence on which student was kept and why: "The student after step 372 of 372 was kept." or "The model
	// stays as it was: held-out items +.0010, p .61."
	Outcome string `json:"outcome,omitempty"`

	// Sets are the sets of queries that were evaluated, the most important one first.
	Sets []QuerySet `json:"sets,omitempty"`
	// Training is nil where nothing was trained.
	Training *Training `json:"training,omitempty"`
	// Funnel is what each filter kept and dropped by query type, in the order in which they ran.
	Funnel mine.Funnel `json:"funnel"`
	// Scores are the distributions of scores, one chart each: the teacher's, the student's before and after.
	Scores []Distribution `json:"scores,omitempty"`
	// Stages are those of the run, in their order.
	Stages []Stage `json:"stages,omitempty"`
	// Settings are all settings of the run, in the order of the settings file, with the versions of Retort, Go and LibTorch.
	Settings []Setting `json:"settings,omitempty"`
	// Hashes are those of the inputs and outputs.
	Hashes []Hash `json:"hashes,omitempty"`

	// Missing says, in one sentence, why a section has no data, where something better can be said than that there is none.
	Missing map[Section]string `json:"missing,omitempty"`
}

// Section is a part of the page.
type Section string

// The sections, in the order of the page.
const (
	SectionQuality  Section = "quality"  // from Sets: before and after
	SectionGains    Section = "gains"    // from Sets: per query
	SectionTraining Section = "training" // from Training
	SectionFunnel   Section = "funnel"   // from Funnel
	SectionScores   Section = "scores"   // from Scores
	SectionCost     Section = "cost"     // from Stages
	SectionSettings Section = "settings" // from Settings
	SectionHashes   Section = "hashes"   // from Hashes
)

// Setting is a name and a value, as the user writes them.
type Setting struct {
	Name  string `json:"name"` // "training.lr"
	Value string `json:"value"`
}

// QuerySet is one set of queries and what was measured on it.
type QuerySet struct {
	// Name says what queries these are: "written queries, test half".
	Name string `json:"name"`
	// Note is a sentence on how far to trust the set, such as that it chose the best student; may be empty.
	Note string `json:"note,omitempty"`
	// Metrics are rows of the table: nDCG@10, R@100, MRR@10. The first is what the page's summary speaks of.
	Metrics []Metric `json:"metrics,omitempty"`
	// GainMetric is the metric of Gains: "nDCG@10".
	GainMetric string `json:"gain_metric,omitempty"`
	// Gains has one entry a query, in any order.
	Gains []Gain `json:"gains,omitempty"`
}

// Metric is a row of the before / after table: means over the queries of the set. What was not measured is nil.
type Metric struct {
	Name    string   `json:"name"`              // as it is shown: "nDCG@10"
	BM25    *float64 `json:"bm25,omitempty"`    // BM25 alone
	Before  *float64 `json:"before,omitempty"`  // the student as it was
	Teacher *float64 `json:"teacher,omitempty"` // what the student learnt from
	After   *float64 `json:"after,omitempty"`   // the student that was kept
	// Difference is After - Before, paired over the queries.
	Difference *eval.Comparison `json:"difference,omitempty"`
}

// Gain is what one query gained or lost.
type Gain struct {
	ID     string  `json:"id"`
	Text   string  `json:"text,omitempty"`
	Before float64 `json:"before"` // the metric's value with the student as it was
	After  float64 `json:"after"`  // and with the one that was kept
	// FirstBefore and FirstAfter are the ranks, from 1, of the first relevant passage; 0: not known, or not found at all. They
	// are shown for the extreme queries.
	FirstBefore int `json:"first_before,omitempty"`
	FirstAfter  int `json:"first_after,omitempty"`
	// TopBefore and TopAfter are the first passages of the two rankings, best first, about five. Only the ten most helped and
	// the ten most hurt queries (QuerySet.Extremes) need them, and Text; others are not shown.
	TopBefore []Hit `json:"top_before,omitempty"`
	TopAfter  []Hit `json:"top_after,omitempty"`
}

// Hit is one passage of a ranking.
type Hit struct {
	ID    string `json:"id"`
	Title string `json:"title,omitempty"`
	// Text is the passage or its beginning. The page shows its first 240 characters.
	Text  string  `json:"text,omitempty"`
	Score float64 `json:"score"` // the student's similarity
	Grade int     `json:"grade"` // of the judgement; above 0 is relevant
}

// Training is how training went.
type Training struct {
	// Loss names the loss: "listwise KL".
	Loss string `json:"loss,omitempty"`
	// Steps are the training steps in their order: the loss is the weighted sum over the rows divided by their number
	// (nats, for KL and InfoNCE).
	Steps []Step `json:"steps,omitempty"`
	// DevMeasure names what Evaluations score: "known-item MRR@10".
	DevMeasure string `json:"dev_measure,omitempty"`
	// Evaluations are in their order; the one of step 0 is of the untouched student.
	Evaluations []Evaluation `json:"evaluations,omitempty"`
	// BestStep is the step of the evaluation whose student was kept; 0: the untouched one.
	BestStep int `json:"best_step"`
	// TotalSteps is how many steps were planned; training may have stopped earlier.
	TotalSteps int `json:"total_steps"`
}

// Step is one training step.
type Step struct {
	Step int     `json:"step"` // from 1
	Loss float64 `json:"loss"`
}

// Evaluation is one look at the student during training.
type Evaluation struct {
	Step  int     `json:"step"` // steps done before it
	Score float64 `json:"score"`
}

// Distribution is a chart of how often scores occur.
type Distribution struct {
	Title string `json:"title"` // "The teacher's scores"
	Axis  string `json:"axis"`  // what the scores are: "target, min-max scaled per list", "cosine similarity"
	// Series are at most three, such as the student before and after.
	Series []Series `json:"series"`
}

// Series is one line of a Distribution.
type Series struct {
	Name      string    `json:"name"` // "before"
	Histogram Histogram `json:"histogram"`
}

// Stage is what a stage of the run cost.
type Stage struct {
	Name string `json:"name"`
	// Seconds is wall-clock time, summed over all attempts.
	Seconds float64 `json:"seconds"`
	// PeakBytes is the highest resident memory of the process until the stage ended, in bytes; 0: not measured.
	PeakBytes int64 `json:"peak_bytes,omitempty"`
	// Records is how many records the stage wrote, of what Unit names ("queries"); 0: none to count.
	Records int    `json:"records,omitempty"`
	Unit    string `json:"unit,omitempty"`
	// Note is a few words, such as "resumed twice" or "from an earlier run"; may be empty.
	Note string `json:"note,omitempty"`
}

// Hash identifies a file or folder of the run.
type Hash struct {
	Name   string `json:"name"`            // its role: "corpus", "model"
	Path   string `json:"path,omitempty"`  // within the run folder, or as the user gave it
	SHA256 string `json:"sha256"`          // hexadecimal
	Bytes  int64  `json:"bytes,omitempty"` // 0: not known
}
