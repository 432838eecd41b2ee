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

	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/internal/regular"
)

// setting explains one setting of distill: a flag, and a key of the settings file.
type setting struct {
	name string
	help string
	// stages are those whose own work it decides; what comes after them follows. None: no result depends on it.
	stages []pipeline.Stage
}

// settingGroup is a part of the settings file.
type settingGroup struct {
	title    string
	settings []setting
}

// settingGroups explain all settings, in the order of the file.
func settingGroups() []settingGroup {
	const (
		checks    = pipeline.StageCheck
		generates = pipeline.StageGenerate
		mines     = pipeline.StageMine
		scores    = pipeline.StageScore
		filters   = pipeline.StageFilter
		before    = pipeline.StageBefore
		trains    = pipeline.StageTrain
		evaluates = pipeline.StageEvaluate
	)
	all := []pipeline.Stage{checks, generates, mines, scores, filters, before, trains, evaluates}
	on := func(stages ...pipeline.Stage) []pipeline.Stage { return stages }
	model := on(checks, mines, before, trains)
	return []settingGroup{
		{"Files and folders, as seen from where retort is called.", []setting{
			{"corpus", "passages: JSON Lines with _id, title, text; also packed with gzip or zstd; -: standard input", all},
			{"model", "the encoder: a folder in the layout of Hugging Face or sentence-transformers", model},
			{"out", "the folder of the run", nil},
			{"queries", "your own queries: JSON Lines with _id, text; they are trained on beside the generated ones", on(checks, mines, before, trains)},
			{"qrels", "judgements of some of the queries: these are not trained on, they choose the best model", on(checks, mines, before, trains)},
			{"lists", "train on your own scored lists instead: JSON Lines with query, ids, scores in [0,1]", on(trains)},
			{"test-queries", "queries that the model will be measured by: JSON Lines with _id, text; copies of them are not trained on", on(mines, trains)},
		}},
		{"What is trained.", []setting{
			{
				"towers", "query: passage vectors stay as they are, so that an index need not be rebuilt; both: queries and passages learn",
				on(scores, trains),
			},
			{"seed", "of everything that is drawn at random", all},
		}},
		{"Queries that are generated.", []setting{
			{"generator", "extractive: from the passages' own words; llm: by a language model; both", on(checks, generates, trains, before)},
			{"types", "of extractive queries: any of sentence, title, keywords, phrase, howto; what is left out can choose the best model", on(checks, generates, trains, before)},
			{"llm", "a language model that runs here: a GGUF file or a folder of Hugging Face (Llama, SmolLM2, Qwen2)", on(generates)},
			{"llm-url", "or a server with an OpenAI-compatible API; the key is read from the environment, OPENAI_API_KEY", on(generates)},
			{"llm-model", "the model's name on that server", on(generates)},
			{"llm-api", `chat, or completions for small and base models; "": of a server chat, else completions`, on(generates)},
			{"llm-types", "any of question, claim, title, keywords, msmarco, zero-shot", on(generates)},
			{"llm-passages", "about how many passages the language model is asked about, drawn by the seed; 0: all", on(generates)},
			{"llm-per-passage", "queries that it is asked for of each of them, of the types in turn", on(generates)},
			{"max-queries", "the most that are used, drawn evenly over the passages; 0: all", on(mines)},
			{"min-words", "drop shorter ones; 0: no limit", on(mines)},
			{"max-words", "drop longer ones; 0: no limit", on(mines)},
			{"near-duplicate", "drop those whose words overlap an earlier query's by this share, in (0,1]; 0: equal ones only", on(mines)},
		}},
		{"The teacher, and whether it has anything to teach.", []setting{
			{
				"teacher", "what scores the lists: bm25, student, encoder:DIR, crossencoder:DIR, likelihood:PATH, rerankapi:KIND:URL#MODEL, or several: " +
					`bm25+2*crossencoder:DIR; "": bm25, with target min-max or percentile bm25+student`,
				on(checks, scores, before),
			},
			{"fuse", "how several are brought to one scale: z (z-scores) or rrf (reciprocal ranks)", on(checks, scores, before)},
			{"min-agreement", "drop lists on which several agree less, in [0,1]; .5 is that of chance; 0: none", on(filters)},
			{"agreement-weight", "let the agreement of several be the list's weight in the loss", on(filters)},
			{"rerank-truncate", "ask the server of rerankapi to cut what is too long for its model", on(checks, scores, before)},
			{
				"rerank-extra", "further fields of each request to that server: NAME=VALUE, joined by commas",
				on(checks, scores, before),
			},
			{"check-queries", "the most judged, and the most held-out queries that teacher and model are compared on first; 0: no comparison", on(checks)},
			{"force", "train even where the teacher is not better than the model", nil},
		}},
		{"Lists: the passages that a query is trained on.", []setting{
			{"analyzer", "BM25's terms: english, or code, which also splits identifiers", on(checks, mines, before)},
			{"depth", "how far rankings are looked at", on(mines)},
			{"round-trip", "keep a generated query where its own passage is among the first so many; 0: always", on(scores)},
			{"top", "the first passages of the ranking taken into the list; 0: query 100, both 5", on(scores)},
			{"sample", "passages drawn from those after the top; 0: query none, both 3", on(scores)},
			{"keep-source", "leave the passage that a query was cut out of in its list, scored no higher than the best of the others", on(scores, filters)},
			{"min-list", "drop shorter lists; at least 2", on(scores)},
			{"max-lists", "the most lists, drawn evenly over the passages; 0: query all, both 1000", on(scores)},
			{"source-first", "keep only lists in which the teacher puts the query's own passage first", on(filters)},
			{
				"top-percentile", "drop lists whose best raw score is below this percentile of all scores; 0: none",
				on(filters),
			},
			{
				"target", "student-scale: the student's similarities plus gamma times the teacher's z-scores; min-max: the teacher's scores, each list's scaled to [0,1]; " +
					`percentile: all of a type of query by one range, from their 1st to their 99th percentile; "": student-scale, with loss paper percentile`,
				on(checks, scores, filters, trains),
			},
			{"gamma", "of student-scale", on(checks, filters)},
		}},
		{"Training.", []setting{
			{
				"loss", "kl: KL divergence over the list; paper: that and InfoNCE, as Tamber et al. 2025 (arXiv 2502.19712) do it, which needs target min-max or percentile; " +
					"extractive queries have no positive for InfoNCE",
				on(trains),
			},
			{"epochs", "passes over the lists; 0: 1", on(trains)},
			{"batch", "lists of one step; 0: query 64, both 16", on(trains)},
			{"lr", "peak of the learning rate; 0: query 1e-4, both 5e-5", on(trains)},
			{"warmup", "share of the steps over which the learning rate rises", on(trains)},
			{"weight-decay", "of AdamW", on(trains)},
			{"clip-norm", "the gradient's largest norm; 0: no limit", on(trains)},
			{"eval-steps", "steps between evaluations; 0: an epoch", on(trains)},
			{"patience", "evaluations without a better one that end training; 0: never", on(trains)},
			{"keep", "best: the best model met; last: the last one", on(mines, before, trains)},
			{
				"interpolate", "average the best model's weights with those it began with, in tenths, where what chooses the best is for it; needs keep best",
				on(trains),
			},
			{"retention", "judged queries that are not trained for, a folder in BEIR layout: a model that falls too far there is drawn back; needs keep best", on(mines, trains)},
			{"retention-drop", "how far nDCG@10 may fall there", on(trains)},
			{"micro-batch-tokens", "tokens of one micro-batch: more is faster and takes more memory", on(trains)},
			{"graph-budget", "bytes that a step may keep to save second forward passes; 0: a quarter of the free memory, below 0: none", on(trains)},
			{"checkpoint-every", "time between checkpoints", nil},
			{"profile", "print where the time of training went: seconds and tokens of each phase", nil},
		}},
		{"The model, where its folder is not to be believed.", []setting{
			{"query-prompt", "stands in front of every query", model},
			{"passage-prompt", "stands in front of every passage", model},
			{"query-tokens", "longest query in tokens, prompt included; 0: what the folder says", model},
			{"passage-tokens", "longest passage in tokens, prompt included; 0: what the folder says", model},
			{"pooling", `mean or cls; "": what the folder says`, model},
			{"precision", "fp32, or bf16, which is fast on a GPU and on processors with AMX or AVX512_BF16 only", model},
		}},
		{"The machine.", []setting{
			{"threads", "processor threads; 0: as many as there are cores", nil},
			{"device", "what to compute on: cpu, cuda, or cuda:N, counted from 0", nil},
		}},
	}
}

// findSetting returns nil where there is none of that name.
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

// settingsFile is the commented file of all settings with these values.
func settingsFile(values map[string]string) []byte {
	var b bytes.Buffer
	b.WriteString(`# Settings of "retort distill -c FILE". Each is a flag too, and a flag given beside the file wins.
# What is left out has the value that stands here.
`)
	for _, g := range settingGroups() {
		fmt.Fprintf(&b, "\n# %s\n", g.title)
		for _, s := range g.settings {
			fmt.Fprintf(&b, "\n# %s\n", s.help)
			value, ok := values[s.name]
			if !ok {
				b.WriteString("# ") // left out
			}
			fmt.Fprintf(&b, "%s: %s\n", s.name, yamlScalar(value))
		}
	}
	return b.Bytes()
}

// plainYAML is what YAML reads as it stands.
var plainYAML = regexp.MustCompile(`^[A-Za-z0-9./][A-Za-z0-9_./,+-]*$`)

// yamlScalar quotes what YAML would read as something else. Its double quotes are those of JSON.
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
		return `""` // a text always has a JSON form
	}
	return strings.TrimSpace(b.String())
}

// The bounds of a settings file, whose settings are single values or lists of them. The parser's memory grows with the
// square of the depth.
const (
	maxSettings = 256 << 10 // bytes
	maxDepth    = 16        // lists and mappings within one another
)

// readSettings sets the flags to the values of a settings file. Errors name the file and the line.
func readSettings(path string, flags *flag.FlagSet) error {
	data, err := regular.ReadFile(path, maxSettings)
	if err != nil {
		return err
	}
	tokens := lexer.Tokenize(string(data))
	if line := tooDeep(tokens); line > 0 {
		return fmt.Errorf("%s:%d: lists or mappings are nested more than %d deep; a setting is a single value or a list of them",
			path, line, maxDepth)
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
			return wrong("no setting %.60q: did you mean %q?", key.Value, nearest(key.Value[:min(len(key.Value), 60)]))
		}
		if first, ok := seen[key.Value]; ok {
			return wrong("%s stands in line %d already", key.Value, first)
		}
		seen[key.Value] = line
		value, ok, err := text(pair.Value)
		if err != nil {
			return wrong("%s: %w", key.Value, err)
		}
		if !ok {
			continue // nothing after the colon: as if it were left out
		}
		if err := flags.Set(key.Value, value); err != nil {
			return wrong("%s: %.200q: %w", key.Value, value, err)
		}
	}
	return nil
}

// tooDeep returns the line where more than maxDepth lists and mappings are open, or are begun at once ("- - - a"), 0
// where that is nowhere.
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

// syntaxError turns the parser's error of many lines into one.
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

// text returns that of a value, a sequence's joined by commas, and false where there is none.
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

// nearest returns the setting with the name that is the fewest edits away.
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
