package transformer

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
)

func TestWhichWaitingCallsAreJoined(t *testing.T) {
	query := func(lengths ...int) *call { return callOf(t, encoder.Query, lengths...) }
	passage := func(lengths ...int) *call { return callOf(t, encoder.Passage, lengths...) }
	alone := func(c *call) *call { c.alone = true; return c }
	for _, c := range []struct {
		name    string
		waiting []*call
		share   int
		want    []int
	}{
		{"one", []*call{query(12)}, 1, []int{0}},
		{"no more than the share", []*call{query(12), query(12), query(12)}, 2, []int{0, 1}},
		{"of one role", []*call{query(12), passage(12), query(12)}, 3, []int{0, 2}},
		{"not one that is to be alone", []*call{query(12), alone(query(12)), query(12)}, 3, []int{0, 2}},
		{"none to one that is to be alone", []*call{alone(query(12)), query(12)}, 2, []int{0}},
		{"of like length", []*call{query(12), query(60), query(20)}, 3, []int{0, 2}},
		{"a short one to a long one", []*call{query(33), query(30), query(1)}, 3, []int{0, 1}},
		{"no more padding than a few tokens a call", []*call{query(12), query(20), query(25)}, 3, []int{0, 1, 2}},
		{"whole calls", []*call{query(12), query(9, 10, 11)}, 2, []int{0, 1}},
		{"no more than fit", []*call{query(50), query(50, 50), query(50)}, 3, []int{0, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []int
			for _, taken := range joined(c.waiting, c.share, 100) {
				for i := range c.waiting {
					if c.waiting[i] == taken {
						got = append(got, i)
					}
				}
			}
			require.Equal(t, c.want, got)
		})
	}
}

// callOf is a call of texts of those lengths in tokens.
func callOf(t *testing.T, role encoder.Role, lengths ...int) *call {
	t.Helper()
	c := &call{
		ctx: context.Background(), in: newInputs(role, nil, make([]string, len(lengths))),
		done: make(chan error, 1),
	}
	for i, n := range lengths {
		c.in.texts[i].once.Do(func() { c.in.texts[i].ids = make([]int32, n) })
		c.width = max(c.width, n)
	}
	return c
}
