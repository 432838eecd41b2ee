package generate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/retort-ir/retort"
)

// Mixture returns a generator that makes of a passage what each of the generators makes of it, in their order:
// extractive queries beside a language model's. Their ids must differ, as the ids of Extractive and Prompted do. Where
// one of them fails, the passage fails. It takes batches as large as the largest that one of them likes.
func Mixture(generators ...QueryGenerator) (BatchGenerator, error) {
	if len(generators) == 0 {
		return nil, errors.New("generate: a mixture of no generators")
	}
	for i, g := range generators {
		if g == nil {
			return nil, fmt.Errorf("generate: generator %d of the mixture is nil", i)
		}
	}
	return mixture(slices.Clone(generators)), nil
}

type mixture []QueryGenerator

func (m mixture) BatchSize() int {
	size := 1
	for _, g := range m {
		size = max(size, sizeOf(g))
	}
	return size
}

func (m mixture) Generate(ctx context.Context, p retort.Passage) ([]retort.Query, error) {
	return generateOne(ctx, m, p)
}

func (m mixture) GenerateBatch(ctx context.Context, ps []retort.Passage) iter.Seq2[int, Made] {
	all := make([]Made, len(ps))
	for _, g := range m {
		for i, made := range generateEach(ctx, g, ps) {
			switch {
			case all[i].Err != nil:
			case made.Err != nil:
				all[i] = Made{Err: made.Err}
			default:
				all[i].Queries = append(all[i].Queries, made.Queries...)
			}
		}
	}
	return slices.All(all)
}

// Fingerprint joins the fingerprints of the generators.
func (m mixture) Fingerprint() string {
	parts := make([]string, len(m))
	for i, g := range m {
		parts[i] = fingerprintOf(g)
	}
	return strings.Join(parts, " + ")
}

// Sample returns a generator that makes queries of about n passages of a corpus of total, chosen by a hash of seed and
// id, and none of the others: a language model need not be asked about every passage. Which passages are chosen does
// not depend on their order, and a smaller n chooses some of the passages of a larger n. 0 or more than total means
// all.
func Sample(g QueryGenerator, n, total int, seed uint64) (BatchGenerator, error) {
	if g == nil || n < 0 || total < 0 {
		return nil, fmt.Errorf("generate: a sample needs a generator, and %d of %d passages both at least 0", n, total)
	}
	s := &sample{generator: g, seed: seed, share: 1}
	if n > 0 && n < total {
		s.share = float64(n) / float64(total)
	}
	return s, nil
}

type sample struct {
	generator QueryGenerator
	seed      uint64
	share     float64 // of the passages, in (0,1]
}

// chosen compares the hash, as a number in [0,1), with the share.
func (s *sample) chosen(p retort.Passage) bool {
	h := sha256.Sum256(fmt.Appendf(nil, "sample %d %s", s.seed, p.ID))
	return float64(binary.BigEndian.Uint64(h[:])>>11)/(1<<53) < s.share
}

// BatchSize is larger by as much as fewer passages are chosen.
func (s *sample) BatchSize() int {
	const most = 1 << 16
	return int(min(most, math.Ceil(float64(sizeOf(s.generator))/s.share)))
}

func (s *sample) Generate(ctx context.Context, p retort.Passage) ([]retort.Query, error) {
	if !s.chosen(p) {
		return nil, nil
	}
	return s.generator.Generate(ctx, p)
}

func (s *sample) GenerateBatch(ctx context.Context, ps []retort.Passage) iter.Seq2[int, Made] {
	return func(yield func(int, Made) bool) {
		var chosen []retort.Passage
		var at []int // their places in ps
		for i, p := range ps {
			if s.chosen(p) {
				chosen, at = append(chosen, p), append(at, i)
			} else if !yield(i, Made{}) {
				return
			}
		}
		if len(chosen) == 0 {
			return
		}
		for n, made := range generateEach(ctx, s.generator, chosen) {
			if !yield(at[n], made) {
				return
			}
		}
	}
}

func (s *sample) Fingerprint() string {
	if s.share == 1 {
		return fingerprintOf(s.generator)
	}
	return fmt.Sprintf("%v of the passages, seed %d: %s", s.share, s.seed, fingerprintOf(s.generator))
}

// generateOne is Generate for what takes batches.
func generateOne(ctx context.Context, g BatchGenerator, p retort.Passage) ([]retort.Query, error) {
	for _, made := range generateEach(ctx, g, []retort.Passage{p}) {
		return made.Queries, made.Err
	}
	return nil, ctx.Err()
}

func sizeOf(g QueryGenerator) int {
	if b, ok := g.(BatchGenerator); ok {
		return max(1, b.BatchSize())
	}
	return 1
}

func fingerprintOf(g QueryGenerator) string {
	if f, ok := g.(interface{ Fingerprint() string }); ok {
		return f.Fingerprint()
	}
	return fmt.Sprintf("%T", g)
}
