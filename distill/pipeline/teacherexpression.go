package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-ir/retort/internal/httpretry"
	"github.com/retort-ir/retort/teacher"
)

// The kinds of teachers that are treated apart.
const (
	kindBM25      = "bm25"
	kindStudent   = "student"
	kindRerankAPI = "rerankapi"
)

// TeacherExpression is a text such as "bm25+2*crossencoder:DIR" in parts.
type TeacherExpression []ExpressionMember

// ExpressionMember is one of the teachers that a TeacherExpression joins.
type ExpressionMember struct {
	Weight float64 // above 0
	Kind   string
	Arg    string // path or KIND:URL#MODEL; empty for KindBM25 and KindStudent
}

// Name is how errors and reports call the member: without the folder of a model, the address of a server.
func (m ExpressionMember) Name() string {
	switch m.Kind {
	case kindBM25, kindStudent:
		return m.Kind
	case kindRerankAPI:
		_, model, _ := strings.Cut(m.Arg, "#")
		return m.Kind + " " + model
	}
	return m.Kind + " " + filepath.Base(m.Arg)
}

// memberStart is where a member begins: paths and addresses may hold + and commas too.
var memberStart = regexp.MustCompile(
	`(?:^|[+,])(?:([0-9.eE-]+)\*)?(bm25|student|encoder|crossencoder|likelihood|rerankapi)(:|[+,]|$)`)

// ParseTeacher reads members joined by + or a comma, each with a weight in front where it is not 1. No error holds the
// credentials of an address.
func ParseTeacher(text string) (TeacherExpression, error) {
	members, err := parseMembers(text)
	return members, httpretry.RedactURLsOf(err)
}

func parseMembers(text string) (TeacherExpression, error) {
	var members TeacherExpression
	for rest := text; ; {
		m, length, err := parseMember(rest)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		if slices.ContainsFunc(members, func(o ExpressionMember) bool { return o.Kind == m.Kind && o.Arg == m.Arg }) {
			return nil, fmt.Errorf("%q names %s twice: give it a weight instead", text, m.Name())
		}
		members = append(members, m)
		if length == len(rest) {
			return members, nil
		}
		rest = rest[length:]
	}
}

// parseMember reads the first member, and returns how much of the text it is.
func parseMember(text string) (m ExpressionMember, length int, err error) {
	at := memberStart.FindStringSubmatchIndex(text)
	if at == nil || at[0] != 0 {
		return m, 0, fmt.Errorf("want bm25, student, encoder:DIR, crossencoder:DIR, likelihood:PATH or "+
			"rerankapi:KIND:URL#MODEL, joined by +, at %q", text)
	}
	m = ExpressionMember{Weight: 1, Kind: text[at[4]:at[5]]}
	if at[2] >= 0 {
		weight := text[at[2]:at[3]]
		if m.Weight, err = strconv.ParseFloat(weight, 64); err != nil || !(m.Weight > 0) || math.IsInf(m.Weight, 0) {
			return m, 0, fmt.Errorf("the weight %q is not a number above 0", weight)
		}
	}
	hasArg := text[at[6]:at[7]] == ":"
	if m.Kind == kindBM25 || m.Kind == kindStudent {
		if hasArg {
			return m, 0, fmt.Errorf("%s takes no path", m.Kind)
		}
		return m, at[5], nil
	}
	if !hasArg {
		return m, 0, fmt.Errorf("%s needs a path or address behind a colon", m.Kind)
	}
	length = at[1] + argLength(text[at[1]:])
	if m.Arg = text[at[1]:length]; m.Arg == "" {
		return m, 0, fmt.Errorf("%s needs a path or address behind the colon", m.Kind)
	}
	return m, length, nil
}

// argLength is how long an argument is: up to the next member.
func argLength(text string) int {
	next := memberStart.FindStringIndex(text)
	switch {
	case next == nil:
		return len(text)
	case next[0] > 0:
		return next[0]
	}
	// "crossencoder:bm25": a path that is called like a kind.
	if after := memberStart.FindStringIndex(text[1:]); after != nil {
		return 1 + after[0]
	}
	return len(text)
}

// UsesStudent says whether the student as it was is one of the members.
func (e TeacherExpression) UsesStudent() bool {
	return slices.ContainsFunc(e, func(m ExpressionMember) bool { return m.Kind == kindStudent })
}

// Open returns the teacher that the expression describes, for Recipe.Teacher. open opens a member that is neither
// kindBM25 nor KindStudent; what it opens is the caller's to close. Several members are fused.
func (e TeacherExpression) Open(ctx context.Context, fusion teacher.Fusion,
	open func(ctx context.Context, m ExpressionMember) (teacher.Teacher, error),
) (teacher.Teacher, error) {
	members := make([]teacher.Member, len(e))
	for i, m := range e {
		members[i] = teacher.Member{Name: m.Name(), Weight: m.Weight}
		switch m.Kind {
		case kindBM25:
			members[i].Teacher = BM25()
			continue
		case kindStudent:
			members[i].Teacher = Student()
			continue
		}
		opened, err := open(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("teacher %s: %w", m.Name(), err)
		}
		members[i].Teacher = &meter{name: m.Name(), teacher: opened}
	}
	switch {
	case len(members) == 0:
		return nil, errors.New("pipeline: an empty TeacherExpression")
	case len(members) == 1:
		return members[0].Teacher, nil
	case fusion == teacher.ReciprocalRank:
		return teacher.NewRankFusion(members...)
	}
	return teacher.NewEnsemble(members...)
}

// Describe says it in a line: "bm25 and 2 x crossencoder minilm, fused by z-scores".
func (e TeacherExpression) Describe(fusion teacher.Fusion) string {
	if len(e) == 1 {
		return e[0].Name()
	}
	members := make([]teacher.Member, len(e))
	for i, m := range e {
		members[i] = teacher.Member{Name: m.Name(), Weight: m.Weight}
	}
	return joinMembers(members, fusion)
}
