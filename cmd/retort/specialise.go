package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/metrics"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/bert"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/rss"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/internal/strictjson"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// student is what the job needs of a model.
type student interface {
	encoder.Trainable
	encoder.Splitter
	encoder.Parametric
	encoder.Fingerprinter
	Close() error
}

// student opens the model when it is called.
func (m *modelFlags) student(ctx context.Context, p *progress.Progress) func() (student, error) {
	return func() (student, error) {
		model, err := m.open(ctx, p)
		if err != nil {
			return nil, err
		}
		return model, nil
	}
}

// checkTraining says why a model cannot be trained, before anything is made for it.
func checkTraining(model student) error {
	if c, ok := model.(encoder.TrainingChecker); ok {
		return c.CheckTraining()
	}
	return nil
}

// specialisation makes a student good at a corpus, in a run folder: the job of distill and of the demo.
type specialisation struct {
	corpus      retort.Corpus
	model       student
	out         string
	analyzer    mine.Analyzer
	queriesBy   generatorFlags   // what makes queries
	teacherBy   teacherFlags     // what scores lists
	queries     []retort.Query   // the user's own, to train on
	lists       []retort.List    // the user's own, scored; nothing is generated
	judged      *eval.Collection // queries that choose the best student; nil: known items do
	sets        []judgedSet      // that the student is measured on, before and after
	tested      []retort.Query   // more queries that are not trained on
	last        bool             // take the last student, not the best
	gateQueries int              // the most of each set that the gate asks; 0: no gate
	force       bool             // train whatever the gate says
	floor       *eval.Collection // on which the student may not fall too far; nil: none
	interpolate bool             // average the best student with the one at the start
	mining      distill.MiningOptions
	training    distill.Options
	profile     *metrics.Profile // nil without -profile
	metrics     bool
	progress    *progress.Progress
	settings    map[string]string // all of them, for the manifest
	inputs      map[string]string // hashes of the files that they name
	modelDir    string            // where the model was opened
	open        func() (student, error)
	machine     bert.Options // threads, GPU and precision, of language models and teachers too

	folder     *distill.Folder
	closers    []func() error
	dense      *mine.Dense // over the student's vectors as they were
	bm25       *mine.BM25
	fusion     *mine.ZScoreFusion
	held       *distill.HeldOut // nil where judged queries choose, or nothing does
	pool       *eval.Collection // of the judged queries where passages learn
	generator  *generator       // nil where the lists are the user's
	teachers   *teachers        // nil likewise
	teacher    teacher.Teacher  // of the lists; nil: the ranking's own scores
	target     teacher.Teacher  // what the student is asked to reproduce, as far as it ranks
	generating time.Duration    // what that took in this call
	spent      costs            // in all calls
	encoding   encodingCost     // of the passages
}

// judgedSet is a set of judged queries.
type judgedSet struct {
	name       string // in evaluate.jsonl
	title      string // in the report
	collection *eval.Collection
}

// The names in a run folder besides those of package distill.
const (
	runCorpus  = "corpus.jsonl"
	runStudent = "student"     // the model as it was
	runModel   = "model"       // the specialised one
	runVectors = "vectors.npy" // of the passages, by the model as it was
	runWatched = "metrics"     // every step and evaluation
	runResults = "results.json"
	runAnswers = "answers.jsonl"        // of the language model
	runScores  = "teacher-scores.jsonl" // of the teachers that are models or servers
	runCosts   = "costs.json"

	runVectorsKey = runVectors + ".key" // of which model and corpus, and what they took
)

func (s *specialisation) path(name string) string { return filepath.Join(s.out, name) }

// lockExisting opens the run's folder where there is one, so that a second process is refused at once.
func (s *specialisation) lockExisting(ctx context.Context) error {
	if _, err := os.Stat(s.path(runfolder.LockFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return s.lock(ctx)
}

func (s *specialisation) lock(ctx context.Context) error {
	if s.folder != nil {
		return nil
	}
	var err error
	s.folder, err = distill.OpenFolder(ctx, s.out, slog.New(lineHandler{s.progress}))
	return err
}

func (s *specialisation) close() error {
	var errs []error
	if s.model != nil {
		errs = append(errs, s.model.Close())
	}
	for _, c := range slices.Backward(s.closers) {
		errs = append(errs, c())
	}
	if s.folder != nil {
		errs = append(errs, s.folder.Close())
	}
	return errors.Join(errs...)
}

// prepare opens the folder, writes the corpus and the model as they are, encodes the passages, and makes the rankers.
func (s *specialisation) prepare(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	if err := s.folder.Check(ctx, runCosts); err != nil {
		return err // before anything is paid for
	}
	if err := s.keepInputs(ctx); err != nil {
		return err
	}
	if err := s.folder.Describe(s.mining.Seed, s.settings, s.inputs); err != nil {
		return err
	}
	var err error
	if s.bm25, err = mine.NewBM25(ctx, s.corpus, mine.BM25Options{Analyzer: s.analyzer, Dir: s.out}); err != nil {
		return err
	}
	s.closers = append(s.closers, s.bm25.Close)
	if s.dense, err = s.encodePassages(ctx); err != nil {
		return err
	}
	s.closers = append(s.closers, s.dense.Close)
	s.fusion, err = mine.NewZScoreFusion(rankedDepth, s.bm25, s.dense)
	return err
}

// keepInputs copies the corpus and the model into the folder, unless they are there as they were written.
func (s *specialisation) keepInputs(ctx context.Context) error {
	var had map[string]string
	if m, err := runfolder.ReadManifest(s.out, runfolder.Pipeline); err == nil {
		had = m.Inputs
	}
	if s.inputs == nil {
		s.inputs = map[string]string{}
	}
	s.inputs[inputStudent] = s.model.Fingerprint() // the flags have a say in it, besides the files
	var stale []func() error
	known := maps.Clone(s.inputs)
	for _, c := range []struct {
		input, name string
		save        func(path string) error
	}{
		{inputCorpus, runCorpus, func(path string) error { return retort.SaveCorpus(path, s.corpus) }},
		{inputStudent, runStudent, func(path string) error {
			return errors.Join(os.RemoveAll(path), s.model.Save(path))
		}},
	} {
		if had[c.input] != "" && had[c.input] == s.inputs[c.input] && s.folder.Recorded(c.name) {
			whole, err := s.whole(ctx, c.name)
			if err != nil {
				return err
			}
			if whole {
				continue
			}
		}
		delete(known, c.input)
		stale = append(stale, func() error {
			return s.folder.Replace(ctx, func() error { return c.save(s.path(c.name)) }, c.name)
		})
	}
	if len(stale) == 0 {
		return nil
	}
	// What is replaced is forgotten first, so that after a kill no copy stands under the hash of another.
	if err := s.folder.Describe(s.mining.Seed, s.settings, known); err != nil {
		return err
	}
	for _, save := range stale {
		if err := save(); err != nil {
			return err
		}
	}
	return nil
}

// whole says whether files of the run are as they were written. It prints which one is not: whoever asks makes it
// again.
func (s *specialisation) whole(ctx context.Context, names ...string) (bool, error) {
	err := s.folder.Check(ctx, names...)
	if errors.Is(err, distill.ErrDamaged) {
		s.progress.Print(fmt.Sprintf("%v: it is made again", err))
		return false, nil
	}
	return err == nil, err
}

// The names of the manifest's inputs of which the folder holds copies.
const (
	inputCorpus  = "corpus"
	inputStudent = "student" // the model as it was opened
)

// inputFloor is the name of -floor among the manifest's inputs, which knows its files by their hash alone.
const inputFloor = "floor"

// rankedDepth is how many passages of each ranker's ranking its scores are standardised by.
const rankedDepth = 100

// encodePassages takes the vectors of an earlier run of the same model and corpus, if the folder holds them. It goes on
// where an encoding was cut off.
func (s *specialisation) encodePassages(ctx context.Context) (*mine.Dense, error) {
	key, err := s.vectorsKey(ctx)
	if err != nil {
		return nil, err
	}
	dense, err := s.storedVectors(ctx, key)
	if dense != nil || err != nil {
		return dense, err
	}
	if err := sayCutPassages(ctx, s.model, s.corpus, s.progress); err != nil {
		return nil, err
	}
	start := time.Now()
	err = s.folder.Replace(ctx, func() error {
		// The key is removed first and written last, so that it never describes other vectors.
		if err := os.Remove(s.path(runVectorsKey)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := writePassageVectors(ctx, s.model, s.corpus, s.path(runVectors), s.progress); err != nil {
			return err
		}
		s.encoding = encodingCost{time.Since(start).Seconds(), rss.Peak()}
		return atomicfile.Write(s.path(runVectorsKey), func(w io.Writer) error {
			if _, err := io.WriteString(w, key); err != nil {
				return err
			}
			return json.NewEncoder(w).Encode(s.encoding)
		})
	}, runVectors, runVectorsKey)
	if err != nil {
		return nil, err
	}
	return mine.OpenDense(s.model, s.path(runVectors))
}

// storedVectors returns the vectors of an earlier call, nil where there are none of this key or they are not as they
// were written.
func (s *specialisation) storedVectors(ctx context.Context, key string) (*mine.Dense, error) {
	old, err := regular.ReadFile(s.path(runVectorsKey), regular.MaxText)
	if err != nil || !strings.HasPrefix(string(old), key) {
		if s.folder.Recorded(runVectorsKey) {
			_, err := s.whole(ctx, runVectorsKey) // to say so where that is why
			return nil, err
		}
		return nil, nil
	}
	if whole, err := s.whole(ctx, runVectors, runVectorsKey); !whole {
		return nil, err
	}
	dense, err := mine.OpenDense(s.model, s.path(runVectors))
	if err != nil {
		return nil, nil
	}
	if dense.Len() != s.corpus.Len() {
		return nil, dense.Close()
	}
	s.encoding = readCost(old[len(key):])
	if s.folder.Recorded(runVectors) {
		return dense, nil
	}
	// Of an older version of Retort.
	return dense, s.folder.Replace(ctx, func() error { return nil }, runVectors, runVectorsKey)
}

// encodingCost is what encoding the passages took, in the call that ended it. It stands behind the key of the vectors.
type encodingCost struct {
	Seconds   float64 `json:"seconds"`
	PeakBytes int64   `json:"peak_bytes"`
}

// readCost returns zero where the cost is not known: it is for the report only.
func readCost(line []byte) encodingCost {
	var c encodingCost
	if err := strictjson.Unmarshal(line, &c); err != nil || !(c.Seconds >= 0) || c.PeakBytes < 0 {
		return encodingCost{}
	}
	return c
}

// vectorsKey stands for what the passage vectors depend on.
func (s *specialisation) vectorsKey(ctx context.Context) (string, error) {
	corpus, err := hashPath(ctx, s.path(runCorpus))
	return fmt.Sprintf("%s %s\n", s.model.Fingerprint(), corpus), err
}

// train leaves the best student in the model and in the folder.
func (s *specialisation) train(ctx context.Context) (_ *distill.Outcome, err error) {
	p := distill.Pipeline{
		Student: s.model, Corpus: s.corpus, Queries: s.queries, Lists: s.lists, Ranker: s.fusion,
		Vectors: s.dense.Vectors(), Mining: s.mining, Training: s.training, Folder: s.folder, Progress: s.stages(), Measure: s.measureAll,
		Card: s.card(),
	}
	runCtx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	if s.lists == nil {
		defer func() { err = errors.Join(err, s.countCosts(context.WithoutCancel(ctx))) }()
		if err := s.openSources(ctx); err != nil {
			return nil, err
		}
		if s.generator.asking != nil {
			s.generator.asking.giveUp = giveUp
		}
		p.Generator, p.Teacher = s.generator.QueryGenerator, s.teacher
		if _, ok := s.training.Loss.(loss.Joint); ok && s.queries == nil && !s.queriesBy.asksModel() {
			s.progress.Print("extractive queries have no positive, so that of -loss paper only the KL divergence over the lists is left: " +
				"give -queries or -generator llm to have InfoNCE too")
		}
	}
	events, closeEvents, err := s.events(giveUp)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeEvents()) }()
	p.Training.Events = events
	chosen := "last"
	if !s.last {
		if p.Training.Selection.Evaluate, chosen, err = s.selection(ctx); err != nil {
			return nil, err
		}
		if s.interpolate {
			p.Training.Selection.Interpolate = averages
		}
		if s.floor != nil {
			p.Training.Retention.Evaluate, p.Training.Retention.DrawBack = s.floorNDCG(), drawnBack
			chosen += ", floor " + s.inputs[inputFloor]
		}
	}
	if s.held != nil {
		p.Guard, p.HeldOut = s.held.Test.ReciprocalRanks, s.held.Passages
	}
	p.TestQueries = s.testQueries()
	sets, err := s.hashSets()
	if err != nil {
		return nil, err
	}
	p.Versions = map[distill.Stage]string{
		distill.StageTrain: chosen, distill.StageBefore: sets, distill.StageEvaluate: sets,
	}
	if p.Gate, err = s.gate(ctx); err != nil {
		return nil, err
	}
	out, err := p.Run(runCtx)
	if s.profile != nil && s.profile.Steps > 0 {
		s.progress.Print(strings.TrimSuffix(s.profile.String(), "\n"))
	}
	if cause := context.Cause(runCtx); cause != nil && ctx.Err() == nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	if err := s.sayCutQueries(ctx, out); err != nil {
		return nil, err
	}
	if t := s.testOf(out); t != nil && !t.Kept {
		s.progress.Print(t.String())
	}
	return out, nil
}

// sayCutQueries is about the queries that were trained on and the queries that measured the model.
func (s *specialisation) sayCutQueries(ctx context.Context, out *distill.Outcome) error {
	var texts []string
	for _, l := range out.Lists {
		texts = append(texts, l.Query.Text)
	}
	for _, set := range s.measuredSets() {
		for _, q := range set.collection.Queries {
			texts = append(texts, q.Text)
		}
	}
	return sayCutQueries(ctx, s.model, texts, s.progress)
}

// averages are the shares of the way from the start to the best student that -interpolate tries.
var averages = []float64{.1, .2, .3, .4, .5, .6, .7, .8, .9}

// drawnBack are the shares of its way that a student below the floor may be left, the greatest that holds.
var drawnBack = []float64{.25, .5, .75}

// floorNDCG measures the floor. The first time it may have many passages to encode, and says so.
func (s *specialisation) floorNDCG() func(context.Context, encoder.Encoder) (float64, error) {
	measure := distill.JudgedQueries(s.floor, s.training.Towers == distill.QueryOnly)
	first := true
	return func(ctx context.Context, student encoder.Encoder) (float64, error) {
		if first {
			first = false
			defer s.progress.Stage("measure the floor", 0).Done()
		}
		return measure(ctx, student)
	}
}

// openSources opens what makes queries and what scores lists.
func (s *specialisation) openSources(ctx context.Context) error {
	var err error
	s.generator, err = s.queriesBy.open(ctx, s.corpus, s.mining.Seed, s.path(runAnswers), s.machine, s.progress)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.generator.close)
	members, err := parseTeacher(s.teacherBy.taken(s.mining.Target))
	if err != nil {
		return err
	}
	s.teachers, err = openTeachers(ctx, members, s.teacherBy, s.path(runScores), s.machine,
		slog.New(lineHandler{s.progress}))
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.teachers.close)
	student, err := teacher.FromVectors(s.model, s.corpus, s.dense.Vectors())
	if err != nil {
		return err
	}
	scored, err := s.teachers.over(s.corpus, s.bm25, student)
	if err != nil {
		return err
	}
	s.target = targetTeacher(scored, student, s.mining)
	if s.teacherBy.spec != "" || s.mining.Target == distill.StudentScale {
		s.teacher = scored
	}
	return nil
}

// taken is the teacher's description where none is given: in the target on the student's scale the student has its part already.
func (t *teacherFlags) taken(target distill.Target) string {
	if target == distill.StudentScale {
		return cmp.Or(t.spec, kindBM25)
	}
	return cmp.Or(t.spec, kindBM25+"+"+kindStudent)
}

// countCosts adds what this call took to what the earlier ones did.
func (s *specialisation) countCosts(ctx context.Context) error {
	if s.generator == nil || s.teachers == nil {
		return nil
	}
	var now costs
	if s.queriesBy.asksModel() {
		now.Generate = s.generator.cost()
		now.Generate.Seconds = s.generating.Seconds()
	}
	now.Score = s.teachers.cost()
	var err error
	if s.spent, err = readCosts(s.path(runCosts)); err != nil {
		return err
	}
	s.spent.add(now)
	if len(s.spent.lines()) == 0 {
		return nil
	}
	return s.folder.Replace(ctx, func() error { return s.spent.write(s.path(runCosts)) }, runCosts)
}

// hashSets stands for what the student is measured on.
func (s *specialisation) hashSets() (string, error) {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, set := range s.measuredSets() {
		if err := enc.Encode([]any{set.name, set.collection.Queries, set.collection.Qrels}); err != nil {
			return "", err
		}
		if n := len(set.collection.Itself); n > 0 { // what was measured before such passages were left out
			fmt.Fprintf(h, "without %d queries themselves", n)
		}
	}
	if s.held != nil {
		fmt.Fprintf(h, "known items %s", s.held.Fingerprint())
	}
	if s.teacherBy.spec != "" {
		fmt.Fprintf(h, "teacher %s %s", s.teacherBy.spec, s.teacherBy.fuse)
		if s.teacherBy.rerankTruncate || s.teacherBy.rerankExtra != "" {
			fmt.Fprintf(h, " %t %s", s.teacherBy.rerankTruncate, s.teacherBy.rerankExtra)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (s *specialisation) measuredSets() []judgedSet {
	if s.sets == nil && s.judged != nil {
		return []judgedSet{{setJudged, "your judged queries", s.judged}}
	}
	return s.sets
}

// The names of sets of queries in evaluate.jsonl.
const (
	setJudged = "judged"
	setKnown  = "known items"
)

// rerankedDepth is how many passages of a ranking a teacher of one's own choice puts in its order where it is measured.
const rerankedDepth = 50

// topKept is how many passages of a ranking are kept beside its metrics.
const topKept = 10

// selection is what chooses the best student: judged queries where there are any, or else generated ones of a type that
// is not trained on. It also returns a text that stands for it.
func (s *specialisation) selection(ctx context.Context) (func(context.Context, encoder.Encoder) (float64, error), string, error) {
	if s.judged != nil {
		h := sha256.New()
		err := json.NewEncoder(h).Encode([]any{s.judged.Queries, s.judged.Qrels})
		if n := len(s.judged.Itself); n > 0 {
			fmt.Fprintf(h, "without %d queries themselves", n)
		}
		if err == nil && s.training.Towers == distill.Both {
			s.pool, err = s.judgedPool(ctx)
		}
		return s.judgedNDCG, "judged queries " + hex.EncodeToString(h.Sum(nil)), err
	}
	var err error
	if s.held, err = s.holdOut(ctx); err != nil {
		return nil, "", err
	}
	return s.held.Choose.MRR, "known items " + s.held.Fingerprint(), nil
}

// The most passages that are held out, and the most known items of each: several say more about a passage that can't be
// trained on any more.
const knownItemPassages, knownItemsEach = 1000, 3

// holdOut makes known items of the first type that is not trained on and of which the corpus gives enough.
func (s *specialisation) holdOut(ctx context.Context) (*distill.HeldOut, error) {
	var why []error
	for _, kind := range []string{generate.TypeTitle, generate.TypeKeywords, generate.TypePhrase, generate.TypeSentence} {
		if slices.Contains(s.queriesBy.extractiveTypes(), kind) {
			continue
		}
		o := generate.Options{Types: []string{kind}, PerPassage: knownItemsEach, Seed: s.mining.Seed}
		g, err := generate.NewExtractive(ctx, s.corpus, o)
		if err != nil {
			return nil, err
		}
		frozen := s.training.Towers == distill.QueryOnly
		held, err := distill.HoldOut(ctx, s.corpus, g, knownItemPassages, s.mining.Seed, frozen)
		if !errors.Is(err, distill.ErrNoKnownItems) {
			return held, err
		}
		why = append(why, fmt.Errorf("%s: %w", kind, err))
	}
	return nil, fmt.Errorf("nothing can choose and test the best model, since every type of query is trained on or the corpus gives too few "+
		"of it: give judged queries with -queries and -qrels, or take the last model untested with -keep last: %w",
		errors.Join(why...))
}

// testQueries are all that the student is chosen, held back or measured by, which must not be trained on.
func (s *specialisation) testQueries() []retort.Query {
	var all []retort.Query
	for _, set := range s.measuredSets() {
		all = append(all, set.collection.Queries...)
	}
	for _, c := range []*eval.Collection{s.judged, s.floor} {
		if c != nil {
			all = append(all, c.Queries...)
		}
	}
	if s.held != nil {
		all = append(all, s.held.Queries()...)
	}
	return append(all, s.tested...)
}

// judgedNDCG ranks the corpus, or where passages change the judged passages and the first ranker's best, for the judged
// queries.
func (s *specialisation) judgedNDCG(ctx context.Context, student encoder.Encoder) (float64, error) {
	collection, vectors := s.judged, s.dense.Vectors()
	if s.training.Towers == distill.Both {
		dense, err := mine.NewDense(ctx, student, s.pool.Corpus, nil)
		if err != nil {
			return 0, err
		}
		collection, vectors = s.pool, dense.Vectors()
	}
	dense, err := mine.NewDenseVectors(student, vectors)
	if err != nil {
		return 0, err
	}
	_, report, err := measure(ctx, dense, collection)
	if err != nil {
		return 0, err
	}
	return report.Mean(eval.NDCG(10)), nil
}

// judgedPoolDepth is how many of the start's best passages a judged query puts into the pool.
const judgedPoolDepth = 10

// judgedPool is made before the student changes, which the fusion would follow.
func (s *specialisation) judgedPool(ctx context.Context) (*eval.Collection, error) {
	in := map[int]bool{}
	rankings, err := s.fusion.Search(ctx, s.judged.Queries, judgedPoolDepth)
	if err != nil {
		return nil, err
	}
	for i, q := range s.judged.Queries {
		for _, h := range rankings[i] {
			in[h.Index] = true
		}
		for id := range s.judged.Qrels[q.ID] {
			if index, ok := s.corpus.Index(id); ok {
				in[index] = true
			}
		}
	}
	var passages []retort.Passage
	for i := range s.corpus.Len() {
		if !in[i] {
			continue
		}
		p, err := s.corpus.At(i)
		if err != nil {
			return nil, err
		}
		passages = append(passages, p)
	}
	pool, err := retort.NewCorpus(passages)
	return &eval.Collection{Corpus: pool, Queries: s.judged.Queries, Qrels: s.judged.Qrels, Itself: s.judged.Itself}, err
}

// after is the student as it is now over the whole corpus.
func (s *specialisation) after(ctx context.Context) (*mine.Dense, error) {
	if s.training.Towers == distill.QueryOnly {
		return mine.NewDenseVectors(s.model, s.dense.Vectors())
	}
	return newDense(ctx, s.model, s.corpus, "", s.progress)
}

// measure ranks the corpus for the judged queries, as eval does, and returns the report too.
func measure(ctx context.Context, ranker mine.Retriever, c *eval.Collection) (eval.Run, *eval.Report, error) {
	run, err := search(ctx, ranker, c, progress.New(progress.Quiet))
	if err != nil {
		return nil, nil, err
	}
	report, err := eval.Evaluate(c.Qrels, run, runMetrics()...)
	return run, report, err
}

// runMetrics are those that a run is measured by.
func runMetrics() []eval.Metric { return []eval.Metric{eval.NDCG(10), eval.Recall(100), eval.MRR(10)} }

// stages shows the stages before training.
func (s *specialisation) stages() func(distill.Stage, int, int) {
	names := map[distill.Stage]string{
		distill.StageGate: "compare the teacher with the model", distill.StageGenerate: "make queries", distill.StageMine: "make lists", distill.StageScore: "score lists",
	}
	var stage *progress.Stage
	var current distill.Stage
	var generating time.Time // when that began
	return func(now distill.Stage, done, total int) {
		if stage == nil || now != current {
			current, stage = now, s.progress.Stage(names[now], total)
			stage.Skip(done) // what an earlier call has done
		}
		stage.Set(done)
		if done == total {
			stage.Done()
			stage = nil
		}
		if now == distill.StageGenerate {
			if generating.IsZero() {
				generating = time.Now()
			}
			s.generating = time.Since(generating)
		}
	}
}

// events watch training. giveUp ends it where -metrics cannot be written.
func (s *specialisation) events(giveUp func(error)) (_ retort.Events, closeEvents func() error, err error) {
	closeEvents = func() error { return nil }
	watchers := []retort.Events{trainingEvents(s.progress, "train")}
	if s.profile != nil {
		watchers = append(watchers, s.profile.Events())
	}
	if s.metrics {
		w, err := metrics.Open(s.path(runWatched))
		if err != nil {
			return retort.Events{}, nil, err
		}
		w.Failed, closeEvents = giveUp, w.Close
		watchers = append(watchers, w.Events())
	}
	return retort.Tee(watchers...), closeEvents, nil
}

// trainingEvents show the steps of a training as a stage, and its evaluations and warnings as lines.
func trainingEvents(p *progress.Progress, name string) retort.Events {
	var stage *progress.Stage
	return retort.Events{
		Stage: func(now retort.Stage) {
			switch {
			case now.Name != retort.StageTrain:
			case stage == nil && now.Done < now.Total:
				stage = p.Stage(name, now.Total)
				stage.Skip(now.Done) // what an earlier call has done
			case stage != nil:
				stage.Done()
			}
		},
		Step: func(now retort.Step) {
			stage.Set(now.Step)
			stage.Note(fmt.Sprintf("loss %.3f", now.Loss))
		},
		Evaluation: func(e retort.Evaluation) { p.Print(fmt.Sprintf("evaluation after %d steps: %.4f", e.Step, e.Score)) },
		Warning:    func(w retort.Warning) { p.Print(w.String()) },
	}
}

// writeResults writes what a run found as JSON.
func (s *specialisation) writeResults(ctx context.Context, v any) error {
	return s.folder.Replace(ctx, func() error {
		return atomicfile.Write(s.path(runResults), func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(v)
		})
	}, runResults)
}

// seconds since a moment, in tenths.
func seconds(start time.Time) float64 { return float64(time.Since(start).Milliseconds()/100) / 10 }

// selectedBy names what chose the best model.
func (s *specialisation) selectedBy() string {
	if s.judged != nil {
		return eval.NDCG(10).Name + " of the judged queries"
	}
	return "known-item mrr@10"
}

// testedBy names what tested the model that was chosen.
func (s *specialisation) testedBy() string {
	return fmt.Sprintf("%s held-out passages: known-item mrr@10", thousands(len(s.held.Test.Sources())))
}

// lineHandler shows what a run folder reports as a line: the message, then its values.
type lineHandler struct{ progress *progress.Progress }

func (h lineHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h lineHandler) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	separator := ": "
	r.Attrs(func(a slog.Attr) bool {
		line += fmt.Sprintf("%s%s %v", separator, a.Key, a.Value)
		separator = ", "
		return true
	})
	h.progress.Print(line)
	return nil
}

func (h lineHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h lineHandler) WithGroup(string) slog.Handler      { return h }
