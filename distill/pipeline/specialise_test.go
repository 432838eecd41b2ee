package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

func smallStudent(t *testing.T) *encodertest.Encoder {
	t.Helper()
	student, err := encodertest.New(encodertest.Options{Dim: 8, Buckets: 64, Seed: 1})
	require.NoError(t, err)
	return student
}

// The zero Recipe works, and leaves nothing behind but the student.
func TestTheZeroRecipeNeedsNoFolder(t *testing.T) {
	corpus, _ := offices(t)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	student := smallStudent(t)
	out, err := Specialise(t.Context(), student, corpus, Recipe{})
	require.NoError(t, err)
	require.NotEmpty(t, out.Verdict)
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left)

	kept := smallStudent(t)
	again, err := Specialise(t.Context(), kept, corpus, Recipe{Folder: filepath.Join(t.TempDir(), "run")})
	require.NoError(t, err)
	require.Equal(t, out.Lists, again.Lists)
	require.Equal(t, out.Verdict, again.Verdict)
	require.Equal(t, stateOf(t, student), stateOf(t, kept), "the report looks at the student as it was, and leaves it as it is")
}

// A run that is over gives its student again, and asks nobody for anything.
func TestARunThatIsOverGivesItsStudentAgain(t *testing.T) {
	corpus, judged := offices(t)
	recipe := small(filepath.Join(t.TempDir(), "run"), distill.QueryOnly)
	recipe.Judged, recipe.TeacherCheck.Force = judged, true
	asked := 0
	recipe.Teacher = teacher.WithFingerprint(teacher.Func(func(_ context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
		asked++
		return make([]float64, len(ps)), nil
	}), "none is better")
	first := smallStudent(t)
	out, err := Specialise(t.Context(), first, corpus, recipe)
	require.NoError(t, err)
	require.Positive(t, asked)
	asked = 0
	second := smallStudent(t)
	again, err := Specialise(t.Context(), second, corpus, recipe)
	require.NoError(t, err)
	require.Zero(t, asked)
	require.Equal(t, stateOf(t, first), stateOf(t, second))
	require.Equal(t, out.Report, again.Report)
}

// BM25() and Student() stand for the index and the student of the run, alone and in an ensemble.
func TestAnEnsembleMayHoldTheRunsIndexAndStudent(t *testing.T) {
	corpus, _ := offices(t)
	student := smallStudent(t)
	bm25, err := mine.NewBM25(t.Context(), corpus, mine.BM25Options{})
	require.NoError(t, err)
	dense, err := mine.NewDense(t.Context(), student, corpus, nil)
	require.NoError(t, err)
	asItWas, err := teacher.FromVectors(student, corpus, dense.Vectors())
	require.NoError(t, err)
	open := func(context.Context, ExpressionMember) (teacher.Teacher, error) {
		return nil, errors.New("nothing to open")
	}
	e, err := ParseTeacher("bm25+2*student")
	require.NoError(t, err)
	described, err := e.Open(t.Context(), teacher.ZScore, open)
	require.NoError(t, err)
	scorer, err := NewScorer(t.Context(), described, filepath.Join(t.TempDir(), "scores"), nil)
	require.NoError(t, err)
	bound, err := scorer.Over(corpus, bm25, asItWas)
	require.NoError(t, err)
	want, err := teacher.NewEnsemble(teacher.Member{Teacher: teacher.FromIndex(corpus, bm25)}, teacher.Member{Teacher: asItWas, Weight: 2})
	require.NoError(t, err)
	q := retort.Query{ID: "q", Text: "it sorts a map"}
	var ps []retort.Passage
	for i := range 10 {
		p, err := corpus.At(i)
		require.NoError(t, err)
		ps = append(ps, p)
	}
	got, err := bound.Score(t.Context(), q, ps)
	require.NoError(t, err)
	scores, err := want.Score(t.Context(), q, ps)
	require.NoError(t, err)
	require.Equal(t, scores, got)
	require.NoError(t, scorer.Close())

	_, err = described.(*teacher.Ensemble).Score(t.Context(), q, ps)
	require.ErrorContains(t, err, "has no corpus")
}

// Vectors that somebody has already are not computed again, and give the same student.
func TestGivenVectorsAreTaken(t *testing.T) {
	corpus, _ := offices(t)
	plain := smallStudent(t)
	_, err := Specialise(t.Context(), plain, corpus, small("", distill.QueryOnly))
	require.NoError(t, err)
	given := smallStudent(t)
	dense, err := mine.NewDense(t.Context(), given, corpus, nil)
	require.NoError(t, err)
	recipe := small("", distill.QueryOnly)
	recipe.Vectors = dense.Vectors()
	recipe.Events.Stage = func(s retort.Stage) { require.NotEqual(t, stageEncode, s.Name) }
	_, err = Specialise(t.Context(), given, corpus, recipe)
	require.NoError(t, err)
	require.Equal(t, stateOf(t, plain), stateOf(t, given))
}

func TestARecipeThatCannotWorkIsNamed(t *testing.T) {
	corpus, judged := offices(t)
	for want, change := range map[string]func(*Recipe){
		"Recipe.Mining.List.Depth is 1":                func(r *Recipe) { r.Mining = Mining{List: ListShape{Top: 2, Depth: 1}, Temperature: .05} },
		"Recipe.Training: ":                            func(r *Recipe) { r.Training.Schedule.LR = -1 },
		"Recipe: distill: Options.Widths: 8 follows 4": func(r *Recipe) { r.Widths = []int{4, 8} },
		"Recipe.Widths: 16 is more than the 8 values":  func(r *Recipe) { r.Widths = []int{16, 8} },
		"Recipe.Interpolate excludes KeepLast":         func(r *Recipe) { r.KeepLast, r.Interpolate = true, true },
		"Recipe.Retention excludes KeepLast":           func(r *Recipe) { r.KeepLast, r.Retention.Collection = true, judged },
		"Recipe.Retention.MaxDrop is -1":               func(r *Recipe) { r.Retention.MaxDrop = -1 },
		"Recipe.LanguageModel: there is no Completer":  func(r *Recipe) { r.LanguageModel = &LanguageModel{} },
		"Recipe.Measured[0] needs a Name":              func(r *Recipe) { r.Measured = []Set{{}} },
	} {
		var r Recipe
		change(&r)
		_, err := Specialise(t.Context(), smallStudent(t), corpus, r)
		require.ErrorContains(t, err, want)
	}
	_, err := Specialise(t.Context(), struct{ encoder.Trainable }{smallStudent(t)}, corpus, Recipe{})
	require.ErrorContains(t, err, "does not implement encoder.Parametric")
}
