package causallm

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
)

// sampler draws one record's tokens. It takes one number a token from the record's own generator.
type sampler struct {
	rng         *rand.Rand
	temperature float64
	topP        float64
	weights     []float64 // scratch of cut
	kept        []int32   // scratch of cut
}

func newSampler(seed uint64, temperature, topP float64) *sampler {
	return &sampler{rng: rand.New(rand.NewPCG(seed, 0x7265746f7274)), temperature: temperature, topP: topP}
}

var errNotFinite = errors.New("the model's logits are not finite: its weights are damaged, or too large for the " +
	"precision")

// next draws a token from softmax(logits / temperature), cut to topP, or takes the likeliest one, of equal ones the
// first, where the temperature is 0.
//
// It is the token with the largest logit / temperature + g, where g is Gumbel noise of the token's own (Gumbel 1954;
// Maddison et al. 2014, arXiv 1411.0030). Unlike walking along the summed probabilities, where every token's rounding
// moves all borders behind it, another one comes out only where the best two are equal but for rounding.
func (s *sampler) next(logits []float32) (int32, error) {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
		if v != v {
			return 0, errNotFinite
		}
	}
	if math.IsInf(float64(logits[best]), 0) {
		return 0, errNotFinite
	}
	if s.temperature == 0 {
		return int32(best), nil
	}
	var among []int32
	if s.topP < 1 {
		among = s.nucleus(logits, logits[best])
	}
	return s.draw(logits, logits[best], among), nil
}

// draw draws from all tokens where among is nil.
func (s *sampler) draw(logits []float32, top float32, among []int32) int32 {
	// All tokens of a vocabulary of 100,000 that lie below it have a probability of less than 1e-8 together.
	const negligible = -30
	noise := s.rng.Uint64()
	chosen, highest := int32(-1), math.Inf(-1)
	try := func(id int32) {
		x := float64(logits[id]-top) / s.temperature
		if x < negligible {
			return
		}
		if x += gumbel(noise, id); x > highest {
			chosen, highest = id, x
		}
	}
	if among != nil {
		for _, id := range among {
			try(id)
		}
		return chosen
	}
	for id := range logits {
		try(int32(id))
	}
	return chosen
}

// gumbel is a token's number from the standard Gumbel distribution, -log(-log(u)). u comes from SplitMix64 (Steele et
// al. 2014).
func gumbel(seed uint64, id int32) float64 {
	z := seed + uint64(id+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	u := (float64(z>>11) + .5) / (1 << 53)
	return -math.Log(-math.Log(u))
}

// nucleus returns the fewest likeliest tokens whose probabilities sum up to at least topP.
func (s *sampler) nucleus(logits []float32, top float32) []int32 {
	s.weights = slices.Grow(s.weights[:0], len(logits))[:len(logits)]
	total := 0.0
	for i, v := range logits {
		s.weights[i] = math.Exp(float64(v-top) / s.temperature)
		total += s.weights[i]
	}
	// All tokens below this weight together are less than what is left out.
	least := (1 - s.topP) * total / float64(len(s.weights))
	s.kept = s.kept[:0]
	for i, w := range s.weights {
		if w >= least {
			s.kept = append(s.kept, int32(i))
		}
	}
	slices.SortStableFunc(s.kept, func(a, b int32) int { return cmp.Compare(s.weights[b], s.weights[a]) })
	sum := 0.0
	for i, id := range s.kept {
		if sum += s.weights[id]; sum >= s.topP*total {
			return s.kept[:i+1]
		}
	}
	return s.kept
}
