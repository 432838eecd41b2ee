package pipeline

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/teacher"
)

// quarrel is an ensemble of two teachers that rank the lists of some queries alike and the others the other way round.
func quarrel(t *testing.T) *teacher.Ensemble {
	t.Helper()
	order := func(sign float64) teacher.Teacher {
		return teacher.Func(func(_ context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
			scores := make([]float64, len(ps))
			for i := range ps {
				scores[i] = float64(i)
				if len(q.Text)%2 == 0 {
					scores[i] *= sign
				}
			}
			return scores, nil
		})
	}
	e, err := teacher.NewEnsemble(teacher.Member{Teacher: order(1)}, teacher.Member{Teacher: order(-2)})
	require.NoError(t, err)
	return e
}

func TestListsOnWhichTheTeachersDisagreeAreDroppedOrWeighLess(t *testing.T) {
	p := pipeline(t)
	p.Teacher = quarrel(t)
	queries, err := p.MakeQueries(t.Context(), nil)
	require.NoError(t, err)
	var funnel Funnel
	all, err := p.MakeLists(t.Context(), queries, &funnel)
	require.NoError(t, err)
	for _, l := range all {
		require.Zero(t, l.Weight)
	}

	p.Mining.Filters.MinAgreement = .5
	funnel = Funnel{}
	agreed, err := p.MakeLists(t.Context(), queries, &funnel)
	require.NoError(t, err)
	var want []string
	for _, l := range all {
		if len(l.Query.Text)%2 == 1 {
			want = append(want, l.Query.ID)
		}
	}
	require.NotEmpty(t, want)
	require.Less(t, len(want), len(all))
	var got []string
	for _, l := range agreed {
		got = append(got, l.Query.ID)
	}
	require.Equal(t, want, got)
	last := funnel.Filters[len(funnel.Filters)-1]
	require.Equal(t, "agreement", last.Name)
	require.Equal(t, len(all)-len(want), last.Total().Dropped)

	p.Mining.Filters.MinAgreement, p.Mining.AgreementWeight = 0, true
	weighed, err := p.MakeLists(t.Context(), queries, nil)
	require.NoError(t, err)
	for _, l := range weighed {
		if len(l.Query.Text)%2 == 1 {
			require.Equal(t, 1., l.Weight)
		} else {
			require.Less(t, l.Weight, 1e-6)
			require.Positive(t, l.Weight, "0 would mean 1")
		}
	}
}

func TestAgreementNeedsSeveralTeachers(t *testing.T) {
	alone, err := teacher.NewEnsemble(teacher.Member{Teacher: teacher.FromEncoder(nil)})
	require.NoError(t, err)
	for _, one := range []teacher.Teacher{nil, knowing(1), alone} {
		p := pipeline(t)
		p.Teacher = one
		p.Mining.Filters.MinAgreement = .5
		_, err := p.MakeLists(t.Context(), []retort.Query{{ID: "q", Text: "alpha"}}, nil)
		require.ErrorContains(t, err, "need a teacher.Ensemble of two members or more")
	}
	p := pipeline(t)
	p.Mining.Filters.MinAgreement = 2
	_, err = p.MakeLists(t.Context(), nil, nil)
	require.ErrorContains(t, err, "Mining.Filters.MinAgreement is 2, want it in [0,1]")
}
