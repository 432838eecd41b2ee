package transformer

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/torch"
)

// Pooling is the function that combines the vectors of a text's tokens into its embedding, by its name in
// sentence-transformers. Several, joined by "+", give one embedding after the other: "cls+max".
type Pooling string

// The poolings. Special tokens count like others.
const (
	Mean         Pooling = "mean"
	CLS          Pooling = "cls"                  // the first token
	Max          Pooling = "max"                  // the largest value of each dimension
	MeanSqrtLen  Pooling = "mean_sqrt_len_tokens" // the sum divided by the square root of the number of tokens
	WeightedMean Pooling = "weightedmean"         // the i-th token counts i times
	LastToken    Pooling = "lasttoken"
)

// poolings are the supported ones in the order in which the older form of a pooling's configuration joins them.
var poolings = []struct {
	pooling Pooling
	key     string // in the older form
}{
	{CLS, "pooling_mode_cls_token"},
	{Max, "pooling_mode_max_tokens"},
	{Mean, "pooling_mode_mean_tokens"},
	{MeanSqrtLen, "pooling_mode_mean_sqrt_len_tokens"},
	{WeightedMean, "pooling_mode_weightedmean_tokens"},
	{LastToken, "pooling_mode_lasttoken"},
}

const joinPoolings = "+"

// modes returns the poolings that p joins.
func (p Pooling) modes() []Pooling {
	var modes []Pooling
	for _, mode := range strings.Split(string(p), joinPoolings) {
		modes = append(modes, Pooling(mode))
	}
	return modes
}

func joinModes[T ~string](modes []T) Pooling {
	names := make([]string, len(modes))
	for i, mode := range modes {
		names[i] = string(mode)
	}
	return Pooling(strings.Join(names, joinPoolings))
}

// Validate returns an error for a pooling that is not supported.
func (p Pooling) Validate() error {
	for _, mode := range p.modes() {
		if mode.key() == "" {
			var known []Pooling
			for _, each := range poolings {
				known = append(known, each.pooling)
			}
			return fmt.Errorf("pooling %q is not supported; %s are, and several of them joined by %q", mode,
				strings.ReplaceAll(string(joinModes(known)), joinPoolings, ", "), joinPoolings)
		}
	}
	return nil
}

func (p Pooling) key() string {
	for _, each := range poolings {
		if each.pooling == p {
			return each.key
		}
	}
	return ""
}

// readPooling reads the pooling from the folder of the module: pooling_mode, or a boolean for each mode as older
// versions of sentence-transformers wrote it.
func readPooling(dir string) (p Pooling, withoutPrompt bool, err error) {
	path := filepath.Join(dir, configJSON)
	j, err := modelfolder.Read(path)
	if err != nil {
		return "", false, err
	}
	if _, err := poolingSchema.Check(j); err != nil {
		return "", false, err
	}
	if j.Has("include_prompt") && !j.IsSet("include_prompt") {
		return "", false, j.Errorf("include_prompt", "is null; set true or false")
	}
	withPrompt := true
	if _, err := j.Get("include_prompt", &withPrompt); err != nil {
		return "", false, err
	}
	if p, err = poolingOf(j); err == nil {
		err = p.Validate()
	}
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", path, err)
	}
	return p, !withPrompt, nil
}

func poolingOf(j modelfolder.Settings) (Pooling, error) {
	if j.Has("pooling_mode") {
		var several []string
		if _, err := j.Get("pooling_mode", &several); err == nil {
			return joinModes(several), nil
		}
		var one Pooling
		_, err := j.Get("pooling_mode", &one)
		return one, err
	}
	var modes []Pooling
	for _, each := range poolings {
		on := false
		if _, err := j.Get(each.key, &on); err != nil {
			return "", err
		}
		if on {
			modes = append(modes, each.pooling)
		}
	}
	if len(modes) == 0 {
		return Mean, nil
	}
	return joinModes(modes), nil
}

// poolingConfig is the configuration in the older form, which every version of sentence-transformers reads, and for an
// order that it cannot say in the newer form too.
func (t *Tower) poolingConfig() map[string]any {
	config := map[string]any{
		"word_embedding_dimension": t.config.HiddenSize,
		"include_prompt":           !t.withoutPrompt,
	}
	modes := t.Pooling.modes()
	var inOrder []Pooling
	for _, each := range poolings {
		on := slices.Contains(modes, each.pooling)
		if on {
			inOrder = append(inOrder, each.pooling)
		}
		if on || each.pooling != WeightedMean && each.pooling != LastToken { // those of later versions
			config[each.key] = on
		}
	}
	if !slices.Equal(modes, inOrder) {
		config["pooling_mode"] = modes
	}
	return config
}

// pool returns the pooled vectors [rows x hidden, or several times as wide] of a batch. It leaves out the first skipped
// tokens of each text, which are fewer than any text has.
func pool(s *torch.Scope, n *encodernet.Network, b encodernet.Batch, pooling Pooling, skipped int,
	precision torch.Type,
) torch.Tensor {
	if pooling == CLS && skipped == 0 {
		return n.FirstHidden(s, b, precision)
	}
	x := n.Hidden(s, b, precision)
	var pooled []torch.Tensor
	for _, mode := range pooling.modes() {
		if mode == Max {
			pooled = append(pooled, maximum(s, x, b, skipped))
			continue
		}
		weights := make([]float32, b.Rows*b.Width)
		for i, length := range b.Lengths {
			mode.weigh(weights[i*b.Width:i*b.Width+length], skipped)
		}
		pooled = append(pooled, s.SumDim(s.Mul(x, s.FromFloats(weights, int64(b.Rows), int64(b.Width), 1)), 1))
	}
	if len(pooled) == 1 {
		return pooled[0]
	}
	return s.Cat(1, pooled...)
}

// weigh sets the weights of a text's tokens in the sum, but for the skipped ones.
func (p Pooling) weigh(tokens []float32, skipped int) {
	n := len(tokens) - skipped
	switch p {
	case CLS:
		tokens[skipped] = 1
	case LastToken:
		tokens[len(tokens)-1] = 1
	case WeightedMean:
		sum := float32(n) * float32(skipped+1+len(tokens)) / 2
		for i := skipped; i < len(tokens); i++ {
			tokens[i] = float32(i+1) / sum
		}
	default:
		weight := 1 / float32(n)
		if p == MeanSqrtLen {
			weight = float32(1 / math.Sqrt(float64(n)))
		}
		for i := skipped; i < len(tokens); i++ {
			tokens[i] = weight
		}
	}
}

// maximum returns the largest values of each text's tokens, but for the skipped ones.
func maximum(s *torch.Scope, x torch.Tensor, b encodernet.Batch, skipped int) torch.Tensor {
	const outside = -1e30 // far below every value
	mask := make([]float32, b.Rows*b.Width)
	for i, length := range b.Lengths {
		for j := range b.Width {
			if j < skipped || j >= length {
				mask[i*b.Width+j] = outside
			}
		}
	}
	return s.Select(s.MaxDim(s.Add(x, s.FromFloats(mask, int64(b.Rows), int64(b.Width), 1)), 1), 1, 0)
}
