package teacher

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

var nan = math.NaN()

func passages(texts ...string) []retort.Passage {
	ps := make([]retort.Passage, len(texts))
	for i, text := range texts {
		ps[i] = retort.Passage{ID: "p" + text, Text: text}
	}
	return ps
}

// fixed is a teacher that gives the same scores whatever it is asked.
func fixed(scores ...float64) Teacher {
	return Func(func(context.Context, retort.Query, []retort.Passage) ([]float64, error) { return scores, nil })
}

func TestAMissingScoreIsTheLowestScoreOfTheList(t *testing.T) {
	for _, c := range []struct {
		name      string
		in, wants []float64
	}{
		{"none missing", []float64{3, 1, 2}, []float64{3, 1, 2}},
		{"two missing", []float64{3, nan, -1, nan}, []float64{3, -1, -1, -1}},
		{"all missing", []float64{nan, nan}, []float64{0, 0}},
		{"one score", []float64{nan, 5}, []float64{5, 5}},
		{"empty", []float64{}, []float64{}},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.wants, fillMissing(c.in)) })
	}
}

func TestScoreRefusesWhatATeacherMustNotReturn(t *testing.T) {
	q := retort.Query{ID: "q7", Text: "?"}
	failed := errors.New("the service is down")
	for _, c := range []struct {
		name    string
		teacher Teacher
		want    string
	}{
		{"too few", fixed(1), `query "q7": the teacher gave 1 scores for 2 passages`},
		{"too many", fixed(1, 2, 3), `query "q7": the teacher gave 3 scores for 2 passages`},
		{"infinite", fixed(1, math.Inf(-1)), `query "q7": the teacher gave -Inf for passage "pb"`},
		{"error", Func(func(context.Context, retort.Query, []retort.Passage) ([]float64, error) { return nil, failed }), `query "q7": the service is down`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Score(t.Context(), c.teacher, q, passages("a", "b"))
			require.ErrorContains(t, err, c.want)
		})
	}
	scores, err := Score(t.Context(), fixed(nan, 2), q, passages("a", "b"))
	require.NoError(t, err)
	require.Equal(t, []float64{2, 2}, scores)
}

func TestZScores(t *testing.T) {
	for _, c := range []struct {
		name     string
		in, want []float64
	}{
		// numpy: (x - x.mean()) / x.std()
		{"agrees with numpy", []float64{1, 2, 4, 9}, []float64{-0.9733285267845753, -0.6488856845230502, 0, 1.6222142113076254}},
		{"equal but for rounding", []float64{0.1 + 0.2, 0.3, 0.3}, []float64{0, 0, 0}},
		{"huge", []float64{math.MaxFloat64, -math.MaxFloat64}, []float64{1, -1}},
		{"tiny", []float64{5e-300, 3e-300}, []float64{1, -1}},
		{"one passage", []float64{42}, []float64{0}},
		{"empty", nil, []float64{}},
	} {
		t.Run(c.name, func(t *testing.T) { require.InDeltaSlice(t, c.want, ZScores(c.in), 1e-12) })
	}
}

func TestEnsembleIsTheWeightedSumOfZScores(t *testing.T) {
	e, err := NewEnsemble(
		Member{Name: "bm25", Teacher: fixed(1, 2, 4, 9)},
		Member{Name: "student", Teacher: fixed(.9, .1, .1, .5), Weight: .5},
	)
	require.NoError(t, err)
	got, err := e.Score(t.Context(), retort.Query{ID: "q"}, passages("a", "b", "c", "d"))
	require.NoError(t, err)
	lexical, dense := ZScores([]float64{1, 2, 4, 9}), ZScores([]float64{.9, .1, .1, .5})
	for i := range got {
		require.InDelta(t, lexical[i]+.5*dense[i], got[i], 1e-12)
	}
}

func TestEnsembleCountsAMissingScoreAsTheMembersLowest(t *testing.T) {
	ps := passages("a", "b", "c")
	score := func(members ...Member) []float64 {
		e, err := NewEnsemble(members...)
		require.NoError(t, err)
		scores, err := e.Score(t.Context(), retort.Query{ID: "q"}, ps)
		require.NoError(t, err)
		return scores
	}
	require.Equal(t, ZScores([]float64{7, 3, 3}), score(Member{Teacher: fixed(7, nan, 3)}))
	// A member that can score nothing, or that finds all alike, leaves the others' scores as they are.
	alone := score(Member{Teacher: fixed(1, 2, 3)})
	require.Equal(t, alone, score(Member{Teacher: fixed(1, 2, 3)}, Member{Teacher: fixed(nan, nan, nan)}))
	require.Equal(t, alone, score(Member{Teacher: fixed(1, 2, 3)}, Member{Teacher: fixed(6, 6, 6)}))
}

func TestEnsembleScoresDoNotDependOnAMembersScale(t *testing.T) {
	e, err := NewEnsemble(Member{Teacher: fixed(1, 2, 4)})
	require.NoError(t, err)
	scaled, err := NewEnsemble(Member{Teacher: fixed(1001, 1002, 1004)})
	require.NoError(t, err)
	a, err := e.Score(t.Context(), retort.Query{}, passages("a", "b", "c"))
	require.NoError(t, err)
	b, err := scaled.Score(t.Context(), retort.Query{}, passages("a", "b", "c"))
	require.NoError(t, err)
	require.InDeltaSlice(t, a, b, 1e-9)
}

func TestNewEnsembleNamesTheWrongField(t *testing.T) {
	for _, c := range []struct {
		name    string
		members []Member
		want    string
	}{
		{"empty", nil, "an ensemble needs at least one member"},
		{"no teacher", []Member{{Name: "bm25"}}, "member bm25 of the ensemble: no Teacher"},
		{"negative", []Member{{Name: "bm25", Teacher: fixed(), Weight: -1}}, "member bm25 of the ensemble: Weight is -1"},
		{"NaN", []Member{{Teacher: fixed(), Weight: nan}}, "member 0 of the ensemble: Weight is NaN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewEnsemble(c.members...)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestEnsembleNamesTheMemberThatFails(t *testing.T) {
	e, err := NewEnsemble(Member{Name: "good", Teacher: fixed(1)}, Member{Name: "bad", Teacher: fixed(1, 2)})
	require.NoError(t, err)
	_, err = e.Score(t.Context(), retort.Query{ID: "q1"}, passages("a"))
	require.ErrorContains(t, err, `member bad of the ensemble: score query "q1": the teacher gave 2 scores for 1 passages`)
}

func TestEnsembleStopsWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ends := Func(func(context.Context, retort.Query, []retort.Passage) ([]float64, error) {
		cancel()
		return []float64{1}, nil
	})
	never := Func(func(context.Context, retort.Query, []retort.Passage) ([]float64, error) {
		t.Error("asked after the context's end")
		return []float64{1}, nil
	})
	e, err := NewEnsemble(Member{Teacher: ends}, Member{Teacher: never})
	require.NoError(t, err)
	_, err = e.Score(ctx, retort.Query{}, passages("a"))
	require.ErrorIs(t, err, context.Canceled)
}
