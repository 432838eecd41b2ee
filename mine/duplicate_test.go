package mine

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// overlappingTexts returns texts that often begin or end alike, or are parts of others.
func overlappingTexts(n int) []string {
	r := rand.New(rand.NewPCG(3, 3))
	texts := make([]string, n)
	for i := range texts {
		var b strings.Builder
		for range r.IntN(60) {
			b.WriteString("w" + strconv.Itoa(r.IntN(4)) + " ")
		}
		texts[i] = b.String()
		if i > 0 && r.IntN(2) == 0 {
			other := texts[r.IntN(i)]
			switch r.IntN(4) {
			case 0:
				texts[i] = other
			case 1:
				texts[i] = other + texts[i]
			case 2:
				texts[i] += other
			case 3:
				texts[i] = strings.ToUpper(other[:len(other)/6*3])
			}
		}
	}
	return texts
}

func corpusOfTexts(t testing.TB, texts []string) retort.Corpus {
	t.Helper()
	passages := make([]retort.Passage, len(texts))
	for i, text := range texts {
		passages[i] = retort.Passage{ID: strconv.Itoa(i), Text: text}
	}
	c, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	return c
}

func TestNearDuplicatesOfACorpusThatDoesNotFitInMemoryAreTheSame(t *testing.T) {
	corpus := corpusOfTexts(t, overlappingTexts(3000))
	want, err := nearDuplicates(context.Background(), corpus, 1<<30)
	require.NoError(t, err)
	require.Greater(t, len(want.Dropped), 500)
	require.Greater(t, len(want.Kept), 500)
	for _, memory := range []int{0, 1000, 100_000, 200_000} {
		got, err := nearDuplicates(context.Background(), corpus, memory)
		require.NoError(t, err)
		require.Equal(t, want, got, "%d bytes", memory)
	}
}

func TestTextsAreSortedWhateverTheMemory(t *testing.T) {
	ctx := context.Background()
	texts := overlappingTexts(500)
	for i := range 50 {
		texts = append(texts, strings.Repeat("same beginning ", 20)+strconv.Itoa(i%7), strconv.Itoa(i%7)+strings.Repeat(" same end", 20))
	}
	corpus := corpusOfTexts(t, texts)
	for _, backwards := range []bool{false, true} {
		held, want, err := newTextReader(ctx, corpus, 1<<30)
		require.NoError(t, err)
		require.NoError(t, held.sort(ctx, want, 0, backwards))
		for i, at := range want[1:] {
			a, b := held.held[want[i]], held.held[at]
			c := strings.Compare(a, b)
			if backwards {
				c = compareBackwards(a, b)
			}
			require.True(t, c < 0 || c == 0 && want[i] < at)
		}
		for _, memory := range []int{0, 32 * len(texts), 90 * len(texts)} {
			r, got, err := newTextReader(ctx, corpus, memory)
			require.NoError(t, err)
			require.True(t, r.held == nil, "nothing is held")
			require.NoError(t, r.sort(ctx, got, 0, backwards))
			require.Equal(t, want, got, "%d bytes", memory)
		}
	}
}

// unreadableFrom has passages that cannot be read after so many reads.
type unreadableFrom struct {
	retort.Corpus
	left int
}

var errGone = errors.New("gone")

func (c *unreadableFrom) At(i int) (retort.Passage, error) {
	if c.left--; c.left < 0 {
		return retort.Passage{}, errGone
	}
	return c.Corpus.At(i)
}

func TestNearDuplicatesReportsThatTheCorpusCannotBeReadAgain(t *testing.T) {
	corpus := corpusOfTexts(t, overlappingTexts(200))
	for _, left := range []int{0, 199, 200, 350, 399, 500} {
		_, err := nearDuplicates(context.Background(), &unreadableFrom{corpus, left}, 0)
		require.ErrorIs(t, err, errGone, "after %d reads", left)
	}
}
