package generate

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/parallel"
)

// PromptOptions are the settings of a Prompted generator. The zero value is valid and holds the limits of Tamber et al.
// 2025 (arXiv 2502.19712).
type PromptOptions struct {
	// Types to ask for; nil means all of QueryTypes. A type that is listed twice is asked for twice as often.
	Types []QueryType
	// PerPassage is how many queries are asked for of each passage, by the types in turn and in an order that differs
	// from passage to passage, so that a small number still gives a mix over the corpus; 0 means one for each of Types.
	// A larger number only adds queries.
	PerPassage int
	// Seed chooses the examples of the fixed prompts, the prompt of each passage and type, and each request's seed.
	Seed uint64
	// Temperature divides the logits; 0 means 0.8. Greedy takes the likeliest token instead.
	Temperature float64
	Greedy      bool
	// MaxTokens is the most tokens of an answer; 0 means 50.
	MaxTokens int
	// MinWords and MaxWords limit a query; 0 means 2 and 20.
	MinWords, MaxWords int
	// MaxChars is where a passage is cut, at the end of a word; 0 means 2048.
	MaxChars int
	// Observe, where it is not nil, gets every answer, used or not. It is called from several goroutines at once;
	// Tally.Add can stand here.
	Observe func(Answer)
}

// Validate returns an error that names the field with a value out of range.
func (o PromptOptions) Validate() error {
	if o.Types != nil && len(o.Types) == 0 {
		return errors.New("PromptOptions.Types is empty: leave it nil for all")
	}
	seen := map[string]QueryType{}
	for i, t := range o.Types {
		if err := t.validate(); err != nil {
			return fmt.Errorf("PromptOptions.Types[%d]: %w", i, err)
		}
		if first, ok := seen[t.Name]; ok && !first.equal(t) {
			return fmt.Errorf("PromptOptions.Types[%d]: there is another type of the name %q", i, t.Name)
		}
		seen[t.Name] = t
	}
	o = o.withDefaults()
	switch {
	case o.PerPassage < 1:
		return fmt.Errorf("PromptOptions.PerPassage is %d, want it >= 0", o.PerPassage)
	case !(o.Temperature > 0) || math.IsInf(o.Temperature, 1):
		return fmt.Errorf("PromptOptions.Temperature is %g, want a number >= 0", o.Temperature)
	case o.MaxTokens < 1:
		return fmt.Errorf("PromptOptions.MaxTokens is %d, want it >= 0", o.MaxTokens)
	case o.MinWords < 1:
		return fmt.Errorf("PromptOptions.MinWords is %d, want it >= 0", o.MinWords)
	case o.MaxWords < o.MinWords:
		return fmt.Errorf("PromptOptions.MaxWords is %d, want it >= MinWords, %d", o.MaxWords, o.MinWords)
	case o.MaxChars < 1:
		return fmt.Errorf("PromptOptions.MaxChars is %d, want it >= 0", o.MaxChars)
	}
	return nil
}

func (t QueryType) equal(other QueryType) bool {
	return t.Label == other.Label && slices.Equal(t.Instructions, other.Instructions) && slices.Equal(t.Examples,
		other.Examples)
}

func (o PromptOptions) withDefaults() PromptOptions {
	if o.Types == nil {
		o.Types = builtInTypes()
	}
	o.PerPassage = cmp.Or(o.PerPassage, len(o.Types))
	o.Temperature = cmp.Or(o.Temperature, 0.8)
	o.MaxTokens = cmp.Or(o.MaxTokens, 50)
	o.MinWords = cmp.Or(o.MinWords, defaultMinWords)
	o.MaxWords = cmp.Or(o.MaxWords, defaultMaxWords)
	o.MaxChars = cmp.Or(o.MaxChars, 2048)
	return o
}

// originLLM begins the Origin of the queries that Prompted makes; a slash and the model's name follow.
const originLLM = "llm"

// Prompted asks a language model for queries and cleans its answers. What it asks depends on the options and the
// passage only, never on the order of the passages or calls; so do the queries where the model gives equal requests
// equal answers. It is safe for concurrent use.
type Prompted struct {
	model   Completer
	options PromptOptions
	prompts map[string][]fixedPrompt // of each type
}

// NewPrompted returns a generator that asks the model.
func NewPrompted(model Completer, options PromptOptions) (*Prompted, error) {
	if model == nil {
		return nil, errors.New("generate: NewPrompted needs a model")
	}
	if model.Model() == "" {
		return nil, fmt.Errorf("generate: the model %T has no name", model)
	}
	if err := options.Validate(); err != nil {
		return nil, err
	}
	g := &Prompted{model: model, options: options.withDefaults(), prompts: map[string][]fixedPrompt{}}
	for _, t := range g.options.Types {
		g.prompts[t.Name] = fixedPrompts(t, g.options.Seed, g.options.MaxWords)
	}
	return g, nil
}

// Answer is what came of one request.
type Answer struct {
	// Query is the query where Dropped is "", otherwise what is left of the answer, which may be no text at all.
	Query   retort.Query `json:"query"`
	Dropped Reason       `json:"dropped,omitempty"`
	// Prompt is the Name of the prompt.
	Prompt string `json:"prompt,omitempty"`
	Completion
}

// Generate asks for the queries of one passage. Their ids are passage#llm-type#n, with n from 0 within the type; the
// number of an answer that was dropped is left out. A request that fails makes the passage fail.
func (g *Prompted) Generate(ctx context.Context, p retort.Passage) ([]retort.Query, error) {
	return generateOne(ctx, g, p)
}

// BatchSize implements BatchGenerator: as many passages as fill the model's batch, 1 where the model takes none.
func (g *Prompted) BatchSize() int {
	if m, ok := g.model.(BatchCompleter); ok {
		return max(1, m.BatchSize()/g.options.PerPassage)
	}
	return 1
}

// GenerateBatch implements BatchGenerator.
func (g *Prompted) GenerateBatch(ctx context.Context, ps []retort.Passage) iter.Seq2[int, Made] {
	return func(yield func(int, Made) bool) {
		for i, made := range g.generate(ctx, ps) {
			if !yield(i, made) {
				return
			}
		}
	}
}

func (g *Prompted) generate(ctx context.Context, ps []retort.Passage) []Made {
	var slots []slot
	for i, p := range ps {
		slots = append(slots, g.slotsOf(i, p)...)
	}
	outcomes := g.ask(ctx, slots)
	made := make([]Made, len(ps))
	seen := make([]map[string]bool, len(ps))
	for i, s := range slots {
		m := &made[s.passage]
		if err := outcomes[i].Err; err != nil {
			m.Err = errors.Join(m.Err, fmt.Errorf("query %q: %w", s.query.ID, err))
			continue
		}
		if seen[s.passage] == nil {
			seen[s.passage] = map[string]bool{}
		}
		answer := g.read(ps[s.passage], s, outcomes[i].Completion, seen[s.passage])
		if g.options.Observe != nil {
			g.options.Observe(answer)
		}
		if answer.Dropped == "" {
			m.Queries = append(m.Queries, answer.Query)
		}
	}
	for i, p := range ps {
		if made[i].Err != nil {
			made[i].Queries = nil
		}
		if g.options.Observe != nil && !isWorthAsking(p) {
			g.options.Observe(Answer{Query: retort.Query{Source: p.ID, Origin: g.origin()}, Dropped: dropNoPassage})
		}
	}
	return made
}

// Prompt returns what the model is asked for a query of that type, one of the options', of the passage.
func (g *Prompted) Prompt(p retort.Passage, queryType string) (Prompt, error) {
	if g.prompts[queryType] == nil {
		return Prompt{}, fmt.Errorf("no query type %q among the generator's, %s", queryType,
			strings.Join(namesOf(g.options.Types), ", "))
	}
	text := shown(p, g.options.MaxChars)
	return g.promptOf(p.ID, queryType).of(text, foreignLanguage(text)), nil
}

// promptOf chooses among the fixed prompts of a type.
func (g *Prompted) promptOf(id, queryType string) fixedPrompt {
	sum := digest(g.options.Seed, id, queryType)
	prompts := g.prompts[queryType]
	return prompts[binary.LittleEndian.Uint64(sum[:])%uint64(len(prompts))]
}

// slot is a query to be asked for.
type slot struct {
	passage int // its index
	fixed   fixedPrompt
	query   retort.Query // without text
	request Request
}

// slotsOf returns the queries to be asked for of a passage.
func (g *Prompted) slotsOf(passage int, p retort.Passage) []slot {
	if !isWorthAsking(p) {
		return nil
	}
	order := slices.Clone(namesOf(g.options.Types))
	rng := random(g.options.Seed, p.ID, "order")
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	text := shown(p, g.options.MaxChars)
	foreign := foreignLanguage(text)
	slots := make([]slot, g.options.PerPassage)
	count := map[string]int{}
	for i := range slots {
		queryType := order[i%len(order)]
		fixed := g.promptOf(p.ID, queryType)
		slots[i] = slot{
			passage: passage,
			fixed:   fixed,
			query: retort.Query{
				ID:     fmt.Sprintf("%s#%s-%s#%d", p.ID, originLLM, queryType, count[queryType]),
				Type:   queryType,
				Source: p.ID,
				Origin: g.origin(),
			},
			request: g.request(fixed.of(text, foreign), p.ID, queryType, count[queryType]),
		}
		count[queryType]++
	}
	return slots
}

func (g *Prompted) request(prompt Prompt, names ...any) Request {
	sum := digest(g.options.Seed, "request", fmt.Sprintf("%q", names))
	r := Request{
		Prompt:      prompt,
		MaxTokens:   g.options.MaxTokens,
		Temperature: g.options.Temperature,
		Stop:        []string{"\n"},
		Seed:        binary.LittleEndian.Uint64(sum[:]),
	}
	if g.options.Greedy {
		r.Temperature = 0
	}
	return r
}

func (g *Prompted) origin() string { return originLLM + "/" + g.model.Model() }

// isWorthAsking leaves out texts of fewer than 10 characters, as the paper does.
func isWorthAsking(p retort.Passage) bool {
	const fewest = 10
	return utf8.RuneCountInString(oneLine(p.Content())) >= fewest
}

// ask returns the outcomes of the slots' requests.
func (g *Prompted) ask(ctx context.Context, slots []slot) []Outcome {
	if len(slots) == 0 {
		return nil
	}
	requests := make([]Request, len(slots))
	for i, s := range slots {
		requests[i] = s.request
	}
	failed := func(err error) Outcome { return Outcome{Err: err} }
	return parallel.Collect(ctx, len(slots), "the model", g.complete(ctx, requests), failed)
}

// complete asks for all requests at once where the model can, otherwise for one after the other.
func (g *Prompted) complete(ctx context.Context, requests []Request) iter.Seq2[int, Outcome] {
	if m, ok := g.model.(BatchCompleter); ok {
		return m.CompleteBatch(ctx, requests)
	}
	return parallel.InTurn(ctx, len(requests), func(i int) Outcome {
		c, err := g.model.Complete(ctx, requests[i])
		return Outcome{c, err}
	})
}

// read makes an answer of a completion. seen holds the normal forms of the passage's queries so far.
func (g *Prompted) read(p retort.Passage, s slot, c Completion, seen map[string]bool) Answer {
	clean := cleaner{
		MinWords: g.options.MinWords, MaxWords: g.options.MaxWords, Type: s.query.Type, Examples: s.fixed.examples,
	}
	a := Answer{Query: s.query, Prompt: s.fixed.Name, Completion: c}
	a.Query.Text, a.Dropped = clean.clean(c.Text, p)
	normal := Normalize(a.Query.Text)
	switch {
	case a.Dropped == dropEmpty && c.Reasoned:
		a.Dropped = dropReasoning
	case a.Dropped == dropReasoning: // the remedy differs from the remedy for a long query
	case c.Truncated:
		a.Dropped = dropTruncated
	case a.Dropped != "":
	case seen[normal]:
		a.Dropped = dropDuplicate
	default:
		seen[normal] = true
	}
	return a
}

// Fingerprint is a digest of all that decides the queries: every fixed prompt, the options, and the model's
// fingerprint, or its name where it has none.
func (g *Prompted) Fingerprint() string {
	model := g.model.Model()
	if f, ok := g.model.(interface{ Fingerprint() string }); ok {
		model += " " + f.Fingerprint()
	}
	const cleaning = "3" // counts the versions of Clean and of what is asked
	o := g.options
	parts := []string{cleaning, model, fmt.Sprint(o.PerPassage, o.Temperature, o.Greedy, o.MaxTokens, o.MinWords,
		o.MaxWords, o.MaxChars)}
	for _, t := range o.Types {
		parts = append(parts, t.Name)
		for _, f := range g.prompts[t.Name] {
			parts = append(parts, f.Name, f.Prefix, f.label, fmt.Sprintf("%q %q", f.Messages, f.Opening))
		}
	}
	return fmt.Sprintf("prompted:%x", digest(o.Seed, parts...))
}
