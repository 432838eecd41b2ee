package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/runfolder"
)

// setting explains one setting of distill: a flag, and a key of the settings file.
type setting struct {
	name string
	help string
	// stages read the setting. Later stages depend on it through them. Empty: no result depends on it.
	stages []string
}

type settingGroup struct {
	title    string
	settings []setting
}

// settingGroups returns all settings in the order of the settings file.
func settingGroups() []settingGroup {
	const (
		checks    = runfolder.StageCheck
		generates = runfolder.StageGenerate
		mines     = runfolder.StageMine
		scores    = runfolder.StageScore
		filters   = runfolder.StageFilter
		before    = runfolder.StageBefore
		trains    = runfolder.StageTrain
		evaluates = runfolder.StageEvaluate
	)
	all := []string{checks, generates, mines, scores, filters, before, trains, evaluates}
	on := func(stages ...string) []string { return stages }
	model := on(checks, mines, before, trains)
	return []settingGroup{
		{"Files and folders. Relative paths start at the current folder.", []setting{
			{"corpus", "passages: JSON Lines with _id, title, text, also compressed with gzip or zstd; -: standard input", all},
			{"model", "the encoder: a folder in Hugging Face or sentence-transformers layout, or a repository of the Hugging Face hub", model},
			{"out", "folder of the run", nil},
			{"queries", "your own queries: JSON Lines with _id, text; training adds them to the generated queries", model},
			{"qrels", "judgements of some queries; judged queries choose the best model and are not trained on", model},
			{"lists", "train on your own scored lists instead: JSON Lines with query, ids, scores in [0,1]", on(trains)},
			{
				"test-queries", "queries that will measure the model: JSON Lines with _id, text; training skips their copies",
				on(mines, trains),
			},
		}},
		{"What to train.", []setting{
			{
				"towers", "query: train queries only, so that passage vectors and the index stay valid; " +
					"both: train queries and passages, which needs a new index",
				on(scores, trains),
			},
			{"seed", "seed of all random draws", all},
		}},
		{"Generated queries.", []setting{
			{
				"generator", "extractive: from the words of the passages; llm: by a language model; both",
				on(checks, generates, trains, before),
			},
			{
				"types", "types of extractive queries: sentence, title, keywords, phrase, howto; " +
					"a type that is left out can choose the best model",
				on(checks, generates, trains, before),
			},
			{"llm", "local language model: a GGUF file, a Hugging Face folder (Llama, SmolLM2, Qwen2), or a repository of the Hugging Face hub", on(generates)},
			{
				"llm-url", "URL of a server with an OpenAI-compatible API, in place of llm; " +
					"the environment variable OPENAI_API_KEY holds its key",
				on(generates),
			},
			{"llm-model", "name of the model on that server", on(generates)},
			{
				"llm-api", "chat, or completions for small models and base models; " +
					`"": chat for a server, completions for a local model`,
				on(generates),
			},
			{"llm-types", "types of its queries: question, claim, title, keywords, msmarco, zero-shot", on(generates)},
			{"llm-passages", "approximate number of passages to write queries for, sampled by the seed; 0: all", on(generates)},
			{"llm-per-passage", "queries per passage; the types take turns", on(generates)},
			{"max-queries", "maximum number of generated queries, spread evenly over the passages; 0: no limit", on(mines)},
			{"min-words", "drop queries with fewer words; 0: no limit", on(mines)},
			{"max-words", "drop queries with more words; 0: no limit", on(mines)},
			{
				"near-duplicate", "drop queries whose words overlap an earlier query by this share, in (0,1]; " +
					"0: drop only exact duplicates",
				on(mines),
			},
		}},
		{"The teacher, and the teacher check before training.", []setting{
			{
				"teacher", "scores the lists: bm25, student, encoder:DIR, crossencoder:DIR, likelihood:PATH, " +
					"rerankapi:KIND:URL#MODEL, or a weighted sum such as bm25+2*crossencoder:DIR; " +
					`"": bm25, or bm25+student with target min-max or percentile`,
				on(checks, scores, before),
			},
			{"fuse", "how to combine several teachers: z (z-scores) or rrf (reciprocal ranks)", on(checks, scores, before)},
			{
				"min-agreement", "drop lists on which several teachers agree less than this, in [0,1]; .5 is chance; 0: keep all",
				on(filters),
			},
			{"agreement-weight", "weight each list in the loss by the agreement of several teachers", on(filters)},
			{
				"rerank-truncate", "ask the server of rerankapi to truncate inputs that are too long for its model",
				on(checks, scores, before),
			},
			{
				"rerank-extra", "extra fields of each request to the server of rerankapi: NAME=VALUE, separated by commas",
				on(checks, scores, before),
			},
			{
				"check-queries", "maximum number of judged queries, and of held-out queries, in the teacher check; 0: no check",
				on(checks),
			},
			{"force", "train even if the teacher is no better than the model", nil},
		}},
		{"Lists: the passages that a query is trained on.", []setting{
			{
				"analyzer", "words for BM25: english, german and other languages, cjk, or code, which also splits identifiers; " +
					"auto: by the language of most passages",
				on(checks, mines, before),
			},
			{"depth", "length of the rankings that the lists come from", on(mines)},
			{
				"round-trip", "keep a generated query only if its source passage ranks among the first so many; 0: keep all",
				on(scores),
			},
			{"top", "first passages of the ranking in a list; 0: 100 with towers query, 5 with towers both", on(scores)},
			{"sample", "passages sampled below top; 0: none with towers query, 3 with towers both", on(scores)},
			{
				"keep-source", "keep the passage that a query was extracted from in its list, " +
					"with a score no higher than the best other passage",
				on(scores, filters),
			},
			{"min-list", "drop shorter lists; at least 2", on(scores)},
			{
				"max-lists", "maximum number of lists, spread evenly over the passages; " +
					"0: no limit with towers query, 1000 with towers both",
				on(scores),
			},
			{"source-first", "keep only lists whose source passage the teacher ranks first", on(filters)},
			{
				"top-percentile", "drop lists whose best raw score is below this percentile of all scores; 0: keep all",
				on(filters),
			},
			{
				"target", "what the model learns. student-scale: its own similarities plus gamma times the teacher's z-scores; " +
					"min-max: the teacher's scores, scaled to [0,1] in each list; " +
					"percentile: the teacher's scores, scaled by the 1st and 99th percentile of each query type; " +
					`"": student-scale, or percentile with loss paper`,
				on(checks, scores, filters, trains),
			},
			{"gamma", "factor of the teacher's z-scores in target student-scale", on(checks, filters)},
		}},
		{"Training.", []setting{
			{
				"loss", "kl: KL divergence over the list; paper: KL and InfoNCE as in Tamber et al. 2025 (arXiv 2502.19712), " +
					"which needs target min-max or percentile; InfoNCE skips extractive queries",
				on(trains),
			},
			{"epochs", "passes over the lists; 0: 1", on(trains)},
			{"batch", "lists per step; 0: 64 with towers query, 16 with towers both", on(trains)},
			{"lr", "peak learning rate; 0: 1e-4 with towers query, 5e-5 with towers both", on(trains)},
			{"warmup", "share of the steps in which the learning rate rises", on(trains)},
			{"weight-decay", "weight decay of AdamW", on(trains)},
			{"clip-norm", "maximum norm of the gradient; 0: no limit", on(trains)},
			{
				"matryoshka", "nested widths to train at, such as 384,256,128,64, so that vectors can be truncated to them; " +
					`their mean chooses and tests the model; "": whole vectors only`,
				on(trains, before, evaluates),
			},
			{"eval-steps", "steps between evaluations; 0: one epoch", on(trains)},
			{"patience", "stop after this many evaluations without improvement; 0: never", on(trains)},
			{"keep", "best: save the best model; last: save the last model", on(mines, before, trains)},
			{
				"interpolate", "average the best weights with the initial weights, in steps of a tenth, " +
					"where the evaluation improves; needs keep best",
				on(trains),
			},
			{
				"retention", "judged queries of another task, a folder in BEIR layout; a model that loses more than " +
					"retention-drop on them is moved back towards its initial weights; needs keep best",
				on(mines, trains),
			},
			{"retention-drop", "how much nDCG@10 may drop on the retention queries", on(trains)},
			{"micro-batch-tokens", "tokens per micro-batch; a GPU is faster with more, and needs more memory then", on(trains)},
			{
				"graph-budget", "bytes that a step may use to avoid second forward passes; " +
					"0: a quarter of the free memory; below 0: none",
				on(trains),
			},
			{"checkpoint-every", "time between checkpoints", nil},
			{"profile", "print the seconds and tokens of each training phase", nil},
		}},
		{"Overrides of the model folder.", []setting{
			{"query-prompt", "text before every query", model},
			{"passage-prompt", "text before every passage", model},
			{"query-tokens", "maximum length of a query in tokens, with its prompt; 0: the folder's value", model},
			{"passage-tokens", "maximum length of a passage in tokens, with its prompt; 0: the folder's value", model},
			{
				"pooling",
				`mean, cls, max, mean_sqrt_len_tokens, weightedmean, lasttoken, or several joined by +; "": the folder's value`,
				model,
			},
			{"dim", "number of leading values that a vector keeps; 0: the folder's value, or all", model},
			{"precision", "fp32 or bf16; bf16 is fast only on a GPU and on processors with AMX or AVX512_BF16", model},
		}},
		{"The machine.", []setting{
			{"threads", "CPU threads; 0: one per core", nil},
			{"device", "device to compute on: cpu, cuda, or cuda:N, counted from 0", nil},
		}},
	}
}

// findSetting returns nil for an unknown name.
func findSetting(name string) *setting {
	for _, g := range settingGroups() {
		for _, s := range g.settings {
			if s.name == name {
				return &s
			}
		}
	}
	return nil
}

// settingsFile returns a commented settings file with these values.
func settingsFile(values map[string]string) []byte {
	var b bytes.Buffer
	b.WriteString(`# Settings of "retort distill -c FILE". Each setting is also a flag. A flag overrides the file.
# Delete a line to get the default.
`)
	for _, g := range settingGroups() {
		fmt.Fprintf(&b, "\n# %s\n", g.title)
		for _, s := range g.settings {
			fmt.Fprintf(&b, "\n# %s\n", s.help)
			value, ok := values[s.name]
			if !ok {
				b.WriteString("# ")
			}
			fmt.Fprintf(&b, "%s: %s\n", s.name, yamlScalar(value))
		}
	}
	return b.Bytes()
}

// plainYAML matches values that need no quotes.
var plainYAML = regexp.MustCompile(`^[A-Za-z0-9./][A-Za-z0-9_./,+-]*$`)

// yamlScalar quotes a value where YAML needs quotes. A JSON string is also a YAML string.
func yamlScalar(value string) string {
	if plainYAML.MatchString(value) && !strings.EqualFold(value, "null") {
		return value
	}
	return quoteJSON(value)
}

func quoteJSON(value string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return `""` // impossible for a string
	}
	return strings.TrimSpace(b.String())
}

// The limits of a settings file. The parser's memory grows with the square of the depth.
const (
	maxSettings = 256 << 10 // bytes
	maxDepth    = 16        // nested lists and mappings
)

// readSettings sets flags from a settings file. Errors name the file and the line.
func readSettings(path string, flags *flag.FlagSet) error {
	data, err := regular.ReadFile(path, maxSettings)
	if err != nil {
		return err
	}
	tokens := lexer.Tokenize(string(data))
	if line := tooDeep(tokens); line > 0 {
		return fmt.Errorf("%s:%d: lists or mappings are nested more than %d deep; "+
			"a setting is a single value or a list of values", path, line, maxDepth)
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return syntaxError(path, err)
	}
	pairs, err := topLevel(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	seen := map[string]int{}
	for _, pair := range pairs {
		key := pair.Key.GetToken()
		line := key.Position.Line
		wrong := func(format string, args ...any) error {
			return fmt.Errorf("%s:%d: %w", path, line, fmt.Errorf(format, args...))
		}
		if findSetting(key.Value) == nil {
			return wrong("unknown setting %.60q: did you mean %q?", key.Value, nearest(key.Value[:min(len(key.Value), 60)]))
		}
		if first, ok := seen[key.Value]; ok {
			return wrong("duplicate setting %s: line %d sets it too", key.Value, first)
		}
		seen[key.Value] = line
		value, ok, err := text(pair.Value)
		if err != nil {
			return wrong("%s: %w", key.Value, err)
		}
		if !ok {
			continue // an empty value keeps the default
		}
		if err := flags.Set(key.Value, value); err != nil {
			return wrong("%s: %.200q: %w", key.Value, value, err)
		}
	}
	return nil
}

// tooDeep returns the first line that nests more than maxDepth lists and mappings, also by "- - - a", or 0.
func tooDeep(tokens token.Tokens) int {
	open, begun, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			begun, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open--
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			begun++
		}
		if open > maxDepth || open <= 0 && begun > maxDepth {
			return line
		}
	}
	return 0
}

// syntaxError shortens the parser's error to one line.
func syntaxError(path string, err error) error {
	var e yaml.Error
	if errors.As(err, &e) && e.GetToken() != nil {
		return fmt.Errorf("%s:%d: malformed YAML: %s", path, e.GetToken().Position.Line, e.GetMessage())
	}
	return fmt.Errorf("%s: malformed YAML: %w", path, err)
}

func topLevel(file *ast.File) ([]*ast.MappingValueNode, error) {
	var pairs []*ast.MappingValueNode
	for _, doc := range file.Docs {
		switch body := doc.Body.(type) {
		case nil, *ast.CommentGroupNode, *ast.NullNode:
		case *ast.MappingNode:
			pairs = append(pairs, body.Values...)
		case *ast.MappingValueNode:
			pairs = append(pairs, body)
		default:
			return nil, fmt.Errorf(`want lines of "setting: value"; "retort distill -init" writes such a file`)
		}
	}
	return pairs, nil
}

// text returns a value, with the items of a sequence joined by commas, and false for an empty value.
func text(node ast.Node) (string, bool, error) {
	switch n := node.(type) {
	case nil, *ast.NullNode:
		return "", false, nil
	case *ast.SequenceNode:
		parts := make([]string, len(n.Values))
		for i, v := range n.Values {
			var ok bool
			if parts[i], ok = scalar(v); !ok {
				return "", false, errSingle
			}
		}
		return strings.Join(parts, ","), true, nil
	}
	if value, ok := scalar(node); ok {
		return value, true, nil
	}
	return "", false, errSingle
}

func scalar(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

var errSingle = errors.New("want a single value")

// nearest returns the name of the setting with the smallest edit distance.
func nearest(name string) string {
	var all []string
	for _, g := range settingGroups() {
		for _, s := range g.settings {
			all = append(all, s.name)
		}
	}
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return slices.MinFunc(all, func(a, b string) int { return cmp.Compare(edits(name, a), edits(name, b)) })
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
