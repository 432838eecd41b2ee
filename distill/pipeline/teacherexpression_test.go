package pipeline

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

func TestATeacherIsReadFromItsDescription(t *testing.T) {
	for _, c := range []struct {
		spec string
		want TeacherExpression
		name string
	}{
		{"bm25", TeacherExpression{{1, "bm25", ""}}, "bm25"},
		{"bm25+student", TeacherExpression{{1, "bm25", ""}, {1, "student", ""}}, "bm25 and student, fused by z-scores"},
		{"bm25,.5*student", TeacherExpression{{1, "bm25", ""}, {.5, "student", ""}}, "bm25 and 0.5 x student, fused by z-scores"},
		{
			"crossencoder:models/a+b,c/minilm+2*bm25",
			TeacherExpression{{1, "crossencoder", "models/a+b,c/minilm"}, {2, "bm25", ""}},
			"crossencoder minilm and 2 x bm25, fused by z-scores",
		},
		{
			"rerankapi:cohere:https://x/a+2#model+1e-1*encoder:DIR",
			TeacherExpression{{1, "rerankapi", "cohere:https://x/a+2#model"}, {.1, "encoder", "DIR"}},
			"rerankapi model and 0.1 x encoder DIR, fused by z-scores",
		},
		{"crossencoder:bm25", TeacherExpression{{1, "crossencoder", "bm25"}}, "crossencoder bm25"},
		{"crossencoder:bm25+bm25", TeacherExpression{{1, "crossencoder", "bm25"}, {1, "bm25", ""}}, "crossencoder bm25 and bm25, fused by z-scores"},
		{"likelihood:/m/x.gguf", TeacherExpression{{1, "likelihood", "/m/x.gguf"}}, "likelihood x.gguf"},
	} {
		got, err := ParseTeacher(c.spec)
		require.NoError(t, err, c.spec)
		require.Equal(t, c.want, got, c.spec)
		require.Equal(t, c.name, got.Describe(teacher.ZScore))
	}
	for spec, want := range map[string]string{
		"":                    `want bm25, student,`,
		"bm":                  `joined by +, at "bm"`,
		"bm25+":               `joined by +, at "+"`,
		"bm25+colbert:DIR":    `joined by +, at "+colbert:DIR"`,
		"crossencoder":        "crossencoder needs a path or address",
		"crossencoder:":       "crossencoder needs a path or address",
		"bm25:x":              "bm25 takes no path",
		"0*bm25":              `the weight "0" is not a number above 0`,
		"-1*bm25":             `the weight "-1" is not a number above 0`,
		"1e999*bm25":          `the weight "1e999" is not a number above 0`,
		"bm25+student+2*bm25": "names bm25 twice",
		"encoder:a+bm25:x":    "bm25 takes no path",
		"student bm25":        `joined by +, at "student bm25"`,
	} {
		_, err := ParseTeacher(spec)
		require.ErrorContains(t, err, want, spec)
	}
}

func FuzzParseTeacher(f *testing.F) {
	for _, spec := range []string{"bm25+student", ".5*crossencoder:a+b,2*bm25", "encoder:bm25+bm25", "rerankapi:tei:http://x#m", "1e9*likelihood:"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		members, err := ParseTeacher(spec)
		if err != nil {
			return
		}
		require.NotEmpty(t, members)
		again := ""
		for i, m := range members {
			require.Positive(t, m.Weight)
			if i > 0 {
				again += "+"
			}
			again += fmt.Sprintf("%v*%s", m.Weight, m.Kind)
			if m.Arg != "" {
				again += ":" + m.Arg
			}
		}
		back, err := ParseTeacher(again)
		if err == nil { // 1e+06 has a plus
			require.Equal(t, members, back)
		}
	})
}

func TestARerankerPutsTheFirstPassagesInTheTeachersOrder(t *testing.T) {
	corpus, _ := world(t)
	ranker := retrieverOf{{Index: 3, Score: 9}, {Index: 1, Score: 8}, {Index: 0, Score: 7}, {Index: 2, Score: 6}}
	last := teacher.Func(func(_ context.Context, _ retort.Query, ps []retort.Passage) ([]float64, error) {
		scores := make([]float64, len(ps))
		for i := range ps {
			scores[i] = float64(i)
		}
		return scores, nil
	})
	got, err := reranker{ranker, last, corpus, 3}.Search(t.Context(), make([]retort.Query, 2), 4)
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, []mine.Hit{{Index: 0, Score: 4}, {Index: 1, Score: 3}, {Index: 3, Score: 2}, {Index: 2, Score: 1}}, got[1])
	got, err = reranker{ranker, last, corpus, 3}.Search(t.Context(), make([]retort.Query, 1), 1)
	require.NoError(t, err)
	require.Equal(t, 0, got[0][0].Index, "what is asked for is cut out of what is put in order")
	require.Len(t, got[0], 1)
}

// retrieverOf finds the same for every query.
type retrieverOf []mine.Hit

func (r retrieverOf) Search(_ context.Context, qs []retort.Query, k int) ([][]mine.Hit, error) {
	all := make([][]mine.Hit, len(qs))
	for i := range qs {
		all[i] = append([]mine.Hit{}, r[:min(k, len(r))]...)
	}
	return all, nil
}
