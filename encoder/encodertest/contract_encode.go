package encodertest

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/contract"
	"github.com/retort-ir/retort/internal/matrix"
)

// encodeSuite checks Encode.
type encodeSuite struct{ tol Tolerances }

var texts = []string{
	"Scanner reads a file line by line.",
	"How do I sort a slice of structs by a field?",
	"retort",
	"Marshal returns the JSON encoding of v, and traverses the value recursively until nothing is left of it to visit.",
	"a vessel for distilling",
}

func (c encodeSuite) rows(t *contract.T, e encoder.Encoder) {
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		all := encode(t, e, role, texts)
		requireUnitRows(t, all, len(texts), e.Dim())
		for i, text := range texts {
			alone := encode(t, e, role, []string{text})
			t.InDeltas(matrix.Row(alone, 0), matrix.Row(all, i), c.tol.Embedding, "%s %q", role, text)
			for j := range i {
				t.True(distance(matrix.Row(all, i), matrix.Row(all, j)) > 100*c.tol.Embedding, "texts %d and %d have one vector", i,
					j)
			}
		}
		again := encode(t, e, role, texts)
		all.Data[0] = 7
		t.NotEqual(float32(7), again.Data[0], "rows belong to the caller")
	}
}

func (c encodeSuite) nothing(t *contract.T, e encoder.Encoder) {
	for _, none := range [][]string{nil, {}} {
		m, err := e.Encode(t.Context(), encoder.Query, none)
		t.NoError(err)
		t.True(m.Rows == 0, "m.Rows is not 0")
	}
}

func (c encodeSuite) oddTexts(t *contract.T, e encoder.Encoder) {
	odd := []string{
		"", "   \n\t", "\x00", "\xff\xfe not UTF-8", "naïve 検索 🙂", strings.Repeat("x", 10_000),
		strings.Repeat("long text ", 3_000),
	}
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		requireUnitRows(t, encode(t, e, role, odd), len(odd), e.Dim())
	}
}

func (c encodeSuite) concurrently(t *contract.T, e encoder.Encoder) {
	want := encode(t, e, encoder.Passage, texts)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 3 {
				got, err := e.Encode(t.Context(), encoder.Passage, texts)
				if err != nil || got.Rows != want.Rows || distance(got.Data, want.Data) > float64(len(got.Data))*c.tol.Embedding {
					t.Errorf("concurrent Encode differs: %v", err)
				}
			}
		}()
	}
	wg.Wait()
}

func (c encodeSuite) cancelled(t *contract.T, e encoder.Encoder) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	_, err := e.Encode(ctx, encoder.Passage, texts)
	t.ErrorIs(err, context.Canceled)
	t.True(time.Since(start) < 2*time.Second, "time.Since(start) < 2*time.Second")
}

func (c encodeSuite) cancelledDuring(t *contract.T, e encoder.Encoder) {
	many := make([]string, 20_000)
	for i := range many {
		many[i] = texts[i%len(texts)]
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := e.Encode(ctx, encoder.Passage, many)
	took := time.Since(start)
	if err == nil {
		t.True(took < 2*time.Second, "not ended, although it takes long")
		return
	}
	t.ErrorIs(err, context.DeadlineExceeded)
	t.True(took < 2*time.Second, "took < 2*time.Second")
	requireUnitRows(t, encode(t, e, encoder.Passage, texts), len(texts), e.Dim())
}
