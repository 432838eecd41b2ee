package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/internal/counted"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

var scoreCommand = command{
	name:    "score",
	summary: "score lists of passages with a teacher",
	usage: `-corpus FILE (-lists FILE | -queries FILE) -out scored.jsonl [flags]

Scores each list of -lists, or ranks the corpus for each query of -queries and scores the first passages. Writes the lists
with their scores. Scores of models and servers go to scored.jsonl.scores first: after a kill, the same command computes no
score twice.

  -corpus FILE          passages: JSON Lines with _id, title, text, also compressed with gzip or zstd; -: standard input
  -lists FILE           lists: JSON Lines with query, ids; new scores replace scores in the file
  -queries FILE         queries, in place of -lists: JSON Lines with _id, text
  -test-queries FILE    queries that will measure a model; lists and queries that copy a test query are dropped
  -depth N              passages per query of -queries, ranked by BM25 and -model, or by BM25 without -model (50)
  -out FILE             output file of the scored lists` + teacherUsage(`
                        (bm25+student)`) + `
  -scale S              none: the teacher's scores; min-max: scaled to [0,1] in each list, for "retort distill -lists";
                        percentile: scaled to [0,1] by the 1st and 99th percentile of all scores (none)` + analyzerUsage + modelUsage + `

example:
  retort score -corpus corpus.jsonl -queries queries.jsonl -model ./all-MiniLM-L6-v2 \
    -teacher bm25+student+crossencoder:./reranker -scale min-max -out lists.jsonl
  retort distill -corpus corpus.jsonl -model ./all-MiniLM-L6-v2 -lists lists.jsonl -out runs/mine
`,
	json: true, resumes: true, run: runScore,
}

type scoreArgs struct {
	corpus, lists, queries, out string
	tested                      string // the file of -test-queries
	depth                       int
	scale, analyzer             string
	teacher                     teacherFlags
	members                     pipeline.TeacherExpression
	model                       modelFlags
}

func runScore(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("score", flag.ContinueOnError)
	var a scoreArgs
	flags.StringVar(&a.corpus, "corpus", "", "")
	flags.StringVar(&a.lists, "lists", "", "")
	flags.StringVar(&a.queries, "queries", "", "")
	flags.StringVar(&a.out, "out", "", "")
	flags.StringVar(&a.tested, "test-queries", "", "")
	flags.IntVar(&a.depth, "depth", 50, "")
	flags.StringVar(&a.scale, "scale", "none", "")
	flags.StringVar(&a.analyzer, "analyzer", analyzerAuto, "")
	a.teacher.add(flags, "bm25+student")
	a.model.add(flags)
	if _, err := parseArgs(flags, args); err != nil {
		return err
	}
	if err := required(flags, "corpus", "out"); err != nil {
		return err
	}
	if err := a.check(); err != nil {
		return err
	}
	if err := checkWritable(a.out); err != nil {
		return err
	}
	p := progress.New(stderr)
	open := func() (student, error) { return nil, nil }
	if a.model.dir != "" {
		open = a.model.student(ctx, p)
	}
	r, err := a.score(ctx, open, p)
	if err != nil {
		return err
	}
	return r.print(stdout)
}

func (a *scoreArgs) check() error {
	if (a.lists == "") == (a.queries == "") {
		return fmt.Errorf("%w: give either -lists or -queries", errUsage)
	}
	if a.depth < 2 {
		return fmt.Errorf("%w: -depth is %d, want at least 2", errUsage, a.depth)
	}
	err := errors.Join(oneOf("-scale", a.scale, "none", "min-max", "percentile"),
		oneOf("-analyzer", a.analyzer, analyzerValues()...), a.teacher.check(""))
	if err != nil {
		return err
	}
	if a.members, err = a.teacher.expression(""); err != nil {
		return err
	}
	if a.members.UsesStudent() && a.model.dir == "" {
		return fmt.Errorf("%w: teacher %q contains student: give -model, or another -teacher", errUsage, a.teacher.spec)
	}
	model := a.model
	model.dir = cmp.Or(model.dir, "none") // flags such as -device also apply to a teacher
	return model.check()
}

// scoreResult is the JSON result of score.
type scoreResult struct {
	Lists       string              `json:"lists"` // path of the output file
	Teacher     string              `json:"teacher"`
	Kept        int                 `json:"kept"`
	Dropped     map[mine.Reason]int `json:"dropped,omitempty"`
	Pairs       int                 `json:"pairs"`
	Calibration string              `json:"calibration,omitempty"` // how the scores were scaled
	Costs       pipeline.Costs      `json:"costs"`
	Seconds     float64             `json:"seconds"`
}

type scorer struct {
	*scoreArgs
	corpus   *retort.FileCorpus
	bm25     *mine.BM25
	dense    *mine.Dense // nil without a model
	student  teacher.Teacher
	scoring  *pipeline.Scorer
	progress *progress.Progress
	closers  []func() error
}

func (a *scoreArgs) score(
	ctx context.Context, open func() (student, error), p *progress.Progress,
) (_ *scoreResult, err error) {
	start := time.Now()
	s := &scorer{scoreArgs: a, progress: p}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.prepare(ctx, open); err != nil {
		return nil, err
	}
	r := &scoreResult{Lists: a.out, Teacher: a.members.Describe(a.teacher.fusion())}
	lists, err := s.unscored(ctx, r)
	if err != nil {
		return nil, err
	}
	t, err := s.scoring.Over(s.corpus, s.bm25, s.student)
	if err != nil {
		return nil, err
	}
	agreement, err := s.scoreAll(ctx, t, lists)
	if err != nil {
		return nil, err
	}
	if lists, err = s.filter(lists, agreement, r); err != nil {
		return nil, err
	}
	if r.Calibration, err = s.calibrate(lists); err != nil {
		return nil, err
	}
	if err := retort.SaveLists(a.out, lists); err != nil {
		return nil, err
	}
	r.Kept = len(lists)
	r.Costs.Score, r.Seconds = s.scoring.Costs(), seconds(start)
	return r, nil
}

func (s *scorer) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// prepare opens the corpus, the teacher and the rankers.
func (s *scorer) prepare(ctx context.Context, open func() (student, error)) error {
	var err error
	if s.corpus, err = openCorpus(ctx, s.scoreArgs.corpus); err != nil {
		return err
	}
	s.closers = append(s.closers, s.corpus.Close)
	o := &opener{by: s.scoreArgs.teacher, machine: s.model.options, logger: slog.New(lineHandler{s.progress})}
	s.closers = append(s.closers, o.close)
	scoring, err := o.open(ctx, s.members)
	if err != nil {
		return err
	}
	if s.scoring, err = pipeline.NewScorer(ctx, scoring, s.out+".scores", o.logger); err != nil {
		return err
	}
	s.closers = append(s.closers, s.scoring.Close)
	analyzer, err := openAnalyzer(ctx, s.analyzer, s.corpus, s.progress)
	if err != nil {
		return err
	}
	if s.bm25, err = mine.NewBM25(ctx, s.corpus, mine.BM25Options{Analyzer: analyzer}); err != nil {
		return err
	}
	s.closers = append(s.closers, s.bm25.Close)
	model, err := open()
	if err != nil || model == nil {
		return err
	}
	s.closers = append(s.closers, model.Close)
	if s.queries == "" {
		// Encoding the whole corpus would encode passages that are in no list.
		s.student = teacher.FromEncoder(model)
		return nil
	}
	if s.dense, err = newDense(ctx, model, s.corpus, "", s.progress); err != nil {
		return err
	}
	s.student, err = teacher.FromVectors(model, s.corpus, s.dense.Vectors())
	return err
}

// unscored returns the lists of -lists, or ranks -queries, without copies of test queries.
func (s *scorer) unscored(ctx context.Context, r *scoreResult) ([]retort.List, error) {
	if s.lists != "" {
		lists, err := await(ctx, func() ([]retort.List, error) { return s.givenLists() })
		if err != nil {
			return nil, err
		}
		return dropTested(ctx, s.tested, s.lists, lists, &r.Dropped, s.progress)
	}
	queries, err := loadQueries(ctx, s.queries)
	if err != nil {
		return nil, err
	}
	asked := make([]retort.List, len(queries))
	for i, q := range queries {
		asked[i].Query = q
	}
	if asked, err = dropTested(ctx, s.tested, s.queries, asked, &r.Dropped, s.progress); err != nil {
		return nil, err
	}
	queries = queries[:0]
	for _, l := range asked {
		queries = append(queries, l.Query)
	}
	var ranker mine.Retriever = s.bm25
	if s.dense != nil {
		if ranker, err = mine.NewZScoreFusion(0, s.bm25, s.dense); err != nil {
			return nil, err
		}
	}
	stage := s.progress.Stage("mine lists", len(queries))
	defer stage.Done()
	lists := make([]retort.List, len(queries))
	const block = 256
	for from := 0; from < len(queries); from += block {
		part := queries[from:min(from+block, len(queries))]
		rankings, err := ranker.Search(ctx, part, s.depth)
		if err != nil {
			return nil, err
		}
		for i, hits := range rankings {
			l := retort.List{Query: part[i]}
			for _, h := range hits {
				p, err := s.corpus.At(h.Index)
				if err != nil {
					return nil, err
				}
				if !part[i].Is(p) {
					l.IDs = append(l.IDs, p.ID)
				}
			}
			lists[from+i] = l
		}
		stage.Set(from + len(part))
	}
	return lists, nil
}

func (s *scorer) givenLists() ([]retort.List, error) {
	lists, err := retort.LoadLists(s.lists)
	if err != nil {
		return nil, err
	}
	for _, l := range lists {
		if len(l.IDs) == 0 {
			return nil, fmt.Errorf("%s: list of query %q has no passages", s.lists, l.Query.ID)
		}
		for _, id := range l.IDs {
			if _, ok := s.corpus.Index(id); !ok {
				return nil, fmt.Errorf("%s: list of query %q has passage %q, which is not in the corpus",
					s.lists, l.Query.ID, id)
			}
		}
	}
	return lists, nil
}

// scoreAll sets the scores and returns the agreement of the teachers on each list.
func (s *scorer) scoreAll(ctx context.Context, t teacher.Teacher, lists []retort.List) ([]float64, error) {
	stage := s.progress.Stage("score lists", len(lists))
	defer stage.Done()
	work := func(yield func(teacher.Work, error) bool) {
		for _, l := range lists {
			w := teacher.Work{Query: l.Query}
			for _, id := range l.IDs {
				i, _ := s.corpus.Index(id)
				p, err := s.corpus.At(i)
				if err != nil {
					yield(w, err)
					return
				}
				w.Passages = append(w.Passages, p)
			}
			if !yield(w, nil) {
				return
			}
		}
	}
	agreement := make([]float64, len(lists))
	i := 0
	for _, scored := range teacher.ScoreAll(ctx, t, work, 1) {
		if scored.Err != nil {
			return nil, scored.Err
		}
		lists[i].Scores, agreement[i] = scored.Scores, scored.Agreement
		i++
		stage.Set(i)
	}
	return agreement, ctx.Err()
}

// filter drops lists on which the teachers disagree, and weights the remaining lists.
func (s *scorer) filter(lists []retort.List, agreement []float64, r *scoreResult) ([]retort.List, error) {
	for i, l := range lists {
		r.Pairs += len(l.IDs)
		if s.teacher.agreementWeight {
			lists[i].Weight = max(agreement[i], math.SmallestNonzeroFloat32) // the zero weight means 1
		}
	}
	if s.teacher.minAgreement == 0 {
		return lists, nil
	}
	selection, err := mine.TeachersAgree(lists, agreement, s.teacher.minAgreement)
	if err != nil {
		return nil, err
	}
	if r.Dropped == nil {
		r.Dropped = map[mine.Reason]int{}
	}
	maps.Copy(r.Dropped, selection.Counts())
	if len(selection.Kept) == 0 {
		return nil, fmt.Errorf("the agreement of the teachers is below %v on all %d lists: lower -min-agreement",
			s.teacher.minAgreement, len(lists))
	}
	return selection.Lists(lists), nil
}

// calibrate scales the scores and describes the scale.
func (s *scorer) calibrate(lists []retort.List) (string, error) {
	scores := make([][]float64, len(lists))
	for i, l := range lists {
		scores[i] = l.Scores
	}
	scale, what := func(s []float64) ([]float64, error) { return s, nil }, ""
	switch s.scale {
	case "min-max":
		scale, what = teacher.MinMax, "min-max of each list"
	case "percentile":
		r, err := teacher.PercentileRange(scores, 1, 99)
		if err != nil {
			return "", err
		}
		scale, what = r.Scale, r.String()
	}
	for i := range lists {
		var err error
		if lists[i].Scores, err = scale(scores[i]); err != nil {
			return "", fmt.Errorf("list of query %q: %w", lists[i].Query.ID, err)
		}
	}
	return what, nil
}

func (r *scoreResult) print(w io.Writer) error {
	if wantsJSON(w) {
		return writeResult(w, r)
	}
	fmt.Fprintf(w, "%s: %s lists, %s pairs by %s, %.0f s\n",
		r.Lists, thousands(r.Kept), thousands(r.Pairs), r.Teacher, r.Seconds)
	if len(r.Dropped) > 0 {
		fmt.Fprintf(w, "dropped: %s\n", counted.Join(r.Dropped))
	}
	if r.Calibration != "" {
		fmt.Fprintln(w, r.Calibration)
	}
	for _, line := range r.Costs.Lines() {
		fmt.Fprintln(w, line)
	}
	return nil
}
