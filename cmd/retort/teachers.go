package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder/bert"
	"github.com/retort-ir/retort/generate/causallm"
	"github.com/retort-ir/retort/internal/httpretry"
	"github.com/retort-ir/retort/internal/strictjson"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
	"github.com/retort-ir/retort/teacher/crossencoder"
	"github.com/retort-ir/retort/teacher/likelihood"
	"github.com/retort-ir/retort/teacher/rerankapi"
)

// teacherFlags say what scores lists.
type teacherFlags struct {
	spec            string
	fuse            string
	minAgreement    float64
	agreementWeight bool
	rerankTruncate  bool   // of every member that is a server
	rerankExtra     string // likewise: NAME=VALUE,...
}

// teacherUsage explains them; the text of -teacher ends with what is the default.
func teacherUsage(usual string) string {
	return teacherSpecUsage + usual + teacherRestUsage
}

const teacherSpecUsage = `
  -teacher T            what scores the lists: one of these, or several, joined by + or a comma, each with a weight in front
                        if it is not 1, such as bm25+2*crossencoder:models/minilm:
                          bm25                  words
                          student               the model of -model as it is
                          encoder:DIR           another bi-encoder
                          crossencoder:DIR      a cross-encoder, such as "retort train-teacher" makes
                          likelihood:PATH       how likely a language model finds the query after the passage (GGUF, or
                                                a folder of Hugging Face)
                          rerankapi:KIND:URL#M  model M of a server that speaks as tei, cohere, jina, vllm or vllm-score do; the
                                                key is read from the environment, RERANK_API_KEY`

const teacherRestUsage = `
  -fuse F               how several teachers are brought to one scale: z (z-scores) or rrf (reciprocal ranks) (z)
  -min-agreement A      drop lists on which several teachers agree less, in [0,1]; .5 is that of chance; 0: none (0)
  -agreement-weight     let the agreement be the list's weight in the loss
  -rerank-truncate      ask the server of rerankapi to cut what is too long for its model; else such a passage has no score,
                        and the lowest of its list is taken
  -rerank-extra LIST    further fields of each request to it, NAME=VALUE joined by commas, such as truncate_prompt_tokens=512`

func (t *teacherFlags) add(flags *flag.FlagSet, spec string) {
	flags.StringVar(&t.spec, "teacher", spec, "")
	flags.StringVar(&t.fuse, "fuse", "z", "")
	flags.Float64Var(&t.minAgreement, "min-agreement", 0, "")
	flags.BoolVar(&t.agreementWeight, "agreement-weight", false, "")
	flags.BoolVar(&t.rerankTruncate, "rerank-truncate", false, "")
	flags.StringVar(&t.rerankExtra, "rerank-extra", "", "")
}

// check says what is wrong with the flags. members is what stands where none is named.
func (t *teacherFlags) check(members string) error {
	parsed, err := parseTeacher(cmp.Or(t.spec, members))
	if err != nil {
		return fmt.Errorf("%w: -teacher: %w", errUsage, err)
	}
	if err := oneOf("-fuse", t.fuse, "z", "rrf"); err != nil {
		return err
	}
	if !(t.minAgreement >= 0 && t.minAgreement <= 1) {
		return fmt.Errorf("%w: -min-agreement is %v, want it in [0,1]", errUsage, t.minAgreement)
	}
	if (t.minAgreement > 0 || t.agreementWeight) && len(parsed) < 2 {
		return fmt.Errorf("%w: -min-agreement and -agreement-weight need a -teacher of two members or more", errUsage)
	}
	if _, err := parseExtra(t.rerankExtra); err != nil {
		return fmt.Errorf("%w: -rerank-extra: %w", errUsage, err)
	}
	asksServer := slices.ContainsFunc(parsed, func(m teacherMember) bool { return m.kind == kindRerankAPI })
	if (t.rerankTruncate || t.rerankExtra != "") && !asksServer {
		return fmt.Errorf("%w: -rerank-truncate and -rerank-extra need a -teacher with rerankapi:KIND:URL#MODEL", errUsage)
	}
	return nil
}

// parseExtra reads NAME=VALUE,... A value is JSON where it can be, otherwise a text.
func parseExtra(list string) (map[string]any, error) {
	if list == "" {
		return nil, nil
	}
	extra := map[string]any{}
	for _, field := range strings.Split(list, ",") {
		name, text, ok := strings.Cut(field, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, fmt.Errorf("%q: want NAME=VALUE, joined by commas", field)
		}
		if _, twice := extra[name]; twice {
			return nil, fmt.Errorf("%s is given twice", name)
		}
		var value any
		if strictjson.Unmarshal([]byte(text), &value) != nil {
			value = text
		}
		extra[name] = value
	}
	return extra, nil
}

// The kinds of teachers.
const (
	kindBM25         = "bm25"
	kindStudent      = "student"
	kindEncoder      = "encoder"
	kindCrossEncoder = "crossencoder"
	kindLikelihood   = "likelihood"
	kindRerankAPI    = "rerankapi"
)

// teacherMember is one of the teachers that a description joins.
type teacherMember struct {
	weight float64
	kind   string
	arg    string // path, or KIND:URL
}

// name is how errors and reports call it.
func (m teacherMember) name() string {
	switch m.kind {
	case kindBM25, kindStudent:
		return m.kind
	case kindRerankAPI:
		return m.kind + " " + m.arg
	}
	return m.kind + " " + filepath.Base(m.arg)
}

// memberStart is where a member begins: paths and addresses may hold + and commas too.
var memberStart = regexp.MustCompile(`(?:^|[+,])(?:([0-9.eE-]+)\*)?(bm25|student|encoder|crossencoder|likelihood|rerankapi)(:|[+,]|$)`)

// parseTeacher reads a description such as "bm25+.5*crossencoder:DIR". No error holds the credentials of an address.
func parseTeacher(spec string) ([]teacherMember, error) {
	members, err := parseMembers(spec)
	return members, httpretry.RedactURLsOf(err)
}

func parseMembers(spec string) ([]teacherMember, error) {
	var members []teacherMember
	for rest := spec; ; {
		at := memberStart.FindStringSubmatchIndex(rest)
		if at == nil || at[0] != 0 {
			return nil, fmt.Errorf("%q: want bm25, student, encoder:DIR, crossencoder:DIR, likelihood:PATH or rerankapi:KIND:URL#MODEL, joined by +", rest)
		}
		m := teacherMember{weight: 1, kind: rest[at[4]:at[5]]}
		if at[2] >= 0 {
			var err error
			if m.weight, err = strconv.ParseFloat(rest[at[2]:at[3]], 64); err != nil || !(m.weight > 0) || math.IsInf(m.weight, 0) {
				return nil, fmt.Errorf("%q: the weight %q is not a number above 0", spec, rest[at[2]:at[3]])
			}
		}
		needsArg := m.kind != kindBM25 && m.kind != kindStudent
		if hasArg := rest[at[6]:at[7]] == ":"; hasArg != needsArg {
			return nil, fmt.Errorf("%q: %s", spec, map[bool]string{true: m.kind + " needs a path or address behind a colon", false: m.kind + " takes no path"}[needsArg])
		}
		// The member ends where the next one begins.
		end := len(rest)
		if needsArg {
			if next := memberStart.FindStringIndex(rest[at[1]:]); next != nil && next[0] == 0 {
				// "crossencoder:bm25": a path that is called like a kind.
				if after := memberStart.FindStringIndex(rest[at[1]+1:]); after != nil {
					end = at[1] + 1 + after[0]
				}
			} else if next != nil {
				end = at[1] + next[0]
			}
			m.arg = rest[at[1]:end]
			if m.arg == "" {
				return nil, fmt.Errorf("%q: %s needs a path or address behind the colon", spec, m.kind)
			}
		} else {
			end = at[5]
		}
		if slices.ContainsFunc(members, func(o teacherMember) bool { return o.kind == m.kind && o.arg == m.arg }) {
			return nil, fmt.Errorf("%q names %s twice: give it a weight instead", spec, m.name())
		}
		if m.kind == kindRerankAPI {
			if _, err := rerankOptions(m.arg); err != nil {
				return nil, err
			}
		}
		members = append(members, m)
		if end == len(rest) {
			return members, nil
		}
		rest = rest[end:]
	}
}

func usesStudent(members []teacherMember) bool {
	return slices.ContainsFunc(members, func(m teacherMember) bool { return m.kind == kindStudent })
}

// teachers are opened members. The cheap ones, words and the student, come with the corpus.
type teachers struct {
	members []teacherMember
	by      teacherFlags
	opened  []teacher.Teacher // nil for the cheap ones
	meters  map[string]*meter
	store   *teacher.Store // nil where no member is worth storing
	closers []func() error
}

// openTeachers opens the members. Their scores are kept in the file store. The caller closes them.
func openTeachers(ctx context.Context, members []teacherMember, by teacherFlags, store string, machine bert.Options,
	log *slog.Logger,
) (_ *teachers, err error) {
	t := &teachers{members: members, by: by, opened: make([]teacher.Teacher, len(members)), meters: map[string]*meter{}}
	machine.Logger = log
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	for i, m := range members {
		if m.kind == kindBM25 || m.kind == kindStudent {
			continue
		}
		if t.store == nil {
			if t.store, err = teacher.OpenStore(ctx, store, log); err != nil {
				return nil, err
			}
			t.closers = append(t.closers, t.store.Close)
		}
		heavy, err := t.open(ctx, m, machine, log)
		if err != nil {
			return nil, fmt.Errorf("teacher %s: %w", m.name(), err)
		}
		counted := &meter{teacher: heavy}
		t.meters[m.name()] = counted
		if t.opened[i], err = teacher.Cached(counted, t.store); err != nil {
			return nil, fmt.Errorf("teacher %s: %w", m.name(), err)
		}
	}
	return t, nil
}

// open opens a model or makes the client of a server.
func (t *teachers) open(
	ctx context.Context, m teacherMember, machine bert.Options, log *slog.Logger,
) (teacher.Teacher, error) {
	switch m.kind {
	case kindEncoder:
		model, err := bert.Open(ctx, m.arg, bert.Options{
			Threads: machine.Threads, GPU: machine.GPU, Precision: machine.Precision, Logger: machine.Logger,
		})
		if err != nil {
			return nil, err
		}
		t.closers = append(t.closers, model.Close)
		return teacher.FromEncoder(model), nil
	case kindCrossEncoder:
		model, err := crossencoder.Open(ctx, m.arg, crossencoder.Options{
			Threads: machine.Threads, GPU: machine.GPU, Precision: machine.Precision,
		})
		if err != nil {
			return nil, err
		}
		t.closers = append(t.closers, model.Close)
		return model, nil
	case kindLikelihood:
		model, err := causallm.Open(ctx, m.arg, causallm.Options{Threads: machine.Threads, GPU: machine.GPU, Precision: machine.Precision})
		if err != nil {
			return nil, err
		}
		t.closers = append(t.closers, model.Close)
		return likelihood.New(model, likelihood.Options{})
	case kindRerankAPI:
		options, err := rerankOptions(m.arg)
		if err != nil {
			return nil, err
		}
		options.Truncate, options.Logger = t.by.rerankTruncate, log
		if options.Extra, err = parseExtra(t.by.rerankExtra); err != nil {
			return nil, err
		}
		client, err := rerankapi.New(options)
		if err != nil {
			return nil, err
		}
		t.closers = append(t.closers, func() error { client.Close(); return nil })
		return client, client.Check(ctx)
	}
	return nil, fmt.Errorf("no teacher of kind %q", m.kind)
}

// rerankKey names the environment variable with the key of a rerank server, where one is needed.
const rerankKey = "RERANK_API_KEY"

// rerankOptions reads KIND:URL#MODEL.
func rerankOptions(arg string) (rerankapi.Options, error) {
	kind, address, ok := strings.Cut(arg, ":")
	url, model, named := strings.Cut(address, "#")
	if !ok || !named {
		return rerankapi.Options{}, fmt.Errorf("%q: want rerankapi:KIND:URL#MODEL, such as rerankapi:tei:http://localhost:8080#bge-reranker-base", arg)
	}
	o := rerankapi.Options{Kind: rerankapi.Kind(kind), URL: url, Model: model, RawScores: kind == string(rerankapi.TEI)}
	if os.Getenv(rerankKey) != "" {
		o.KeyVariable = rerankKey
	}
	return o, o.Validate()
}

// over joins the members for one corpus. student may be nil where none of them is the student.
func (t *teachers) over(corpus retort.Corpus, bm25 *mine.BM25, student teacher.Teacher) (teacher.Teacher, error) {
	members := make([]teacher.Member, len(t.members))
	for i, m := range t.members {
		members[i] = teacher.Member{Name: m.name(), Teacher: t.opened[i], Weight: m.weight}
		switch m.kind {
		case kindBM25:
			members[i].Teacher = teacher.FromIndex(corpus, bm25)
		case kindStudent:
			members[i].Teacher = student
		}
	}
	if len(members) == 1 {
		return members[0].Teacher, nil
	}
	if t.by.fuse == "rrf" {
		return teacher.NewRankFusion(members...)
	}
	return teacher.NewEnsemble(members...)
}

// cost is that of the members that were opened, in this call.
func (t *teachers) cost() map[string]*scoringCost {
	all := map[string]*scoringCost{}
	for name, m := range t.meters {
		all[name] = m.total()
	}
	return all
}

func (t *teachers) close() error {
	var errs []error
	for _, c := range slices.Backward(t.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// describe says it in a line: "bm25 and 2 x crossencoder minilm, fused by z-scores".
func describeTeacher(members []teacherMember, fuse string) string {
	parts := make([]string, len(members))
	for i, m := range members {
		parts[i] = m.name()
		if m.weight != 1 {
			parts[i] = fmt.Sprintf("%g x %s", m.weight, parts[i])
		}
	}
	if len(parts) == 1 {
		return members[0].name()
	}
	fusion := map[bool]teacher.Fusion{true: teacher.ReciprocalRank}[fuse == "rrf"]
	return fmt.Sprintf("%s and %s, fused by %s", strings.Join(parts[:len(parts)-1], ", "), parts[len(parts)-1], fusion)
}

// reranker puts the first passages of a ranking in the teacher's order, and leaves those after them.
type reranker struct {
	ranker  mine.Retriever
	teacher teacher.Teacher
	corpus  retort.Corpus
	depth   int
}

func (r reranker) Search(ctx context.Context, queries []retort.Query, k int) ([][]mine.Hit, error) {
	rankings, err := r.ranker.Search(ctx, queries, max(k, r.depth))
	if err != nil {
		return nil, err
	}
	lists := func(yield func(teacher.Work, error) bool) {
		for i, q := range queries {
			if !yield(r.work(q, rankings[i])) {
				return
			}
		}
	}
	i := 0
	for _, scored := range teacher.ScoreAll(ctx, r.teacher, lists, 1) {
		if scored.Err != nil {
			return nil, scored.Err
		}
		rankings[i] = r.reordered(rankings[i], scored.Scores)[:min(k, len(rankings[i]))]
		i++
	}
	return rankings, ctx.Err()
}

func (r reranker) work(q retort.Query, hits []mine.Hit) (teacher.Work, error) {
	w := teacher.Work{Query: q}
	for _, h := range hits[:min(r.depth, len(hits))] {
		p, err := r.corpus.At(h.Index)
		if err != nil {
			return w, err
		}
		w.Passages = append(w.Passages, p)
	}
	return w, nil
}

// reordered gives scores that fall with the rank: those of the teacher and of the ranking cannot be compared.
func (r reranker) reordered(hits []mine.Hit, scores []float64) []mine.Hit {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	out := slices.Clone(hits)
	for rank, i := range order {
		out[rank] = hits[i]
	}
	for rank := range out {
		out[rank].Score = float32(len(out) - rank)
	}
	return out
}
