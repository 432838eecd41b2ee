package chattemplate

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// stmt is a part of a template that writes or changes something.
type stmt interface{ exec(*state) error }

// state is one rendering.
type state struct {
	out      *strings.Builder
	scope    *scope
	captured string // by the block of a set
	steps    int
	maxSteps int
	macros   int // macros that are running
	now      func() time.Time
}

// scope holds names; a loop's turn and a macro have one of their own.
type scope struct {
	vars   map[string]any
	parent *scope
}

func (s *scope) get(name string) (any, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.vars[name]; ok {
			return v, true
		}
	}
	return nil, false
}

// errBreak and errContinue end a loop or its turn.
var (
	errBreak    = errors.New("break")
	errContinue = errors.New("continue")
)

// step counts towards the bounds of a rendering.
func (s *state) step(line int) error {
	if s.steps++; s.steps > s.maxSteps {
		return at(line, fmt.Errorf("the template takes more than %d steps", s.maxSteps))
	}
	return nil
}

// charge counts a value as the steps that making or reading it takes, and refuses one that is too large.
func (s *state) charge(v any, line int) error {
	size, err := measure(v)
	s.steps += size / stepBytes
	if err != nil {
		return at(line, err)
	}
	return s.step(line)
}

func (s *state) write(v any, line int) error {
	text := toString(v)
	s.steps += len(text) / stepBytes
	if s.out.Len()+len(text) > maxText {
		return at(line, errTooLong)
	}
	s.out.WriteString(text)
	return nil
}

var errTooLong = fmt.Errorf("the text is longer than %d bytes", maxText)

func (s *state) run(body []stmt) error {
	for _, part := range body {
		if err := part.exec(s); err != nil {
			return err
		}
	}
	return nil
}

// capture returns what body writes.
func (s *state) capture(body []stmt) (string, error) {
	out := s.out
	s.out = &strings.Builder{}
	defer func() { s.out = out }()
	err := s.run(body)
	return s.out.String(), err
}

// inner runs do with a scope of its own within outer.
func (s *state) inner(outer *scope, do func() error) error {
	before := s.scope
	s.scope = &scope{vars: map[string]any{}, parent: outer}
	defer func() { s.scope = before }()
	return do()
}

// lineError is an error of a line; what is around it keeps it as it is.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

func at(line int, err error) error {
	var known *lineError
	if err == nil || errors.As(err, &known) || errors.Is(err, errBreak) || errors.Is(err, errContinue) {
		return err
	}
	return &lineError{line, err}
}

type text string

func (t text) exec(s *state) error { return s.write(string(t), 0) }

type output struct {
	value expr
	line  int
}

func (o output) exec(s *state) error {
	if err := s.step(o.line); err != nil {
		return err
	}
	v, err := o.value.eval(s)
	if err != nil {
		return at(o.line, err)
	}
	return s.write(v, o.line)
}

type block struct{ body []stmt }

func (b block) exec(s *state) error { return s.run(b.body) }

type jump struct{ err error }

func (j jump) exec(*state) error { return j.err }

type branch struct {
	test expr
	body []stmt
	line int
}

type ifStmt struct {
	branches  []branch
	otherwise []stmt
}

func (i ifStmt) exec(s *state) error {
	for _, b := range i.branches {
		if err := s.step(b.line); err != nil {
			return err
		}
		v, err := b.test.eval(s)
		if err != nil {
			return at(b.line, err)
		}
		if truth(v) {
			return s.run(b.body)
		}
	}
	return s.run(i.otherwise)
}

type setStmt struct {
	targets   []string
	attribute string // of the only target, a namespace
	value     expr
	block     bool
	body      []stmt
	line      int
}

func (t setStmt) exec(s *state) error {
	if err := s.step(t.line); err != nil {
		return err
	}
	if t.block {
		text, err := s.capture(t.body)
		if err != nil {
			return err
		}
		s.captured = text
	}
	v, err := t.value.eval(s)
	if err != nil {
		return at(t.line, err)
	}
	if t.attribute == "" {
		return at(t.line, s.assign(t.targets, v))
	}
	target, _ := s.scope.get(t.targets[0])
	ns, ok := target.(*namespace)
	if !ok {
		return at(t.line, fmt.Errorf("%s is no namespace, an attribute cannot be set", t.targets[0]))
	}
	ns.vars[t.attribute] = v
	return nil
}

func (s *state) assign(targets []string, v any) error {
	if len(targets) == 1 {
		s.scope.vars[targets[0]] = v
		return nil
	}
	items, err := iterate(v)
	if err != nil {
		return err
	}
	if len(items) != len(targets) {
		return fmt.Errorf("%d values for %d names", len(items), len(targets))
	}
	for i, name := range targets {
		s.scope.vars[name] = items[i]
	}
	return nil
}

type forStmt struct {
	targets         []string
	items, filter   expr
	body, otherwise []stmt
	line            int
}

func (f forStmt) exec(s *state) error {
	if err := s.step(f.line); err != nil {
		return err
	}
	items, err := f.chosen(s)
	if err != nil {
		return at(f.line, err)
	}
	l := &loop{items: items}
	whole := false // Jinja writes the else also after a loop of which no turn came to its end
	for l.index = range items {
		err := s.inner(s.scope, func() error {
			if err := s.step(f.line); err != nil {
				return err
			}
			s.scope.vars["loop"] = l
			if err := s.assign(f.targets, items[l.index]); err != nil {
				return at(f.line, err)
			}
			return s.run(f.body)
		})
		if errors.Is(err, errBreak) {
			break
		}
		if err != nil && !errors.Is(err, errContinue) {
			return err
		}
		whole = whole || err == nil
	}
	if !whole {
		return s.run(f.otherwise)
	}
	return nil
}

// chosen returns the items that the loop's filter lets through.
func (f forStmt) chosen(s *state) ([]any, error) {
	v, err := f.items.eval(s)
	if err != nil {
		return nil, err
	}
	items, err := iterate(v)
	if err != nil || f.filter == nil {
		return items, err
	}
	var chosen []any
	for _, item := range items {
		err := s.inner(s.scope, func() error {
			if err := s.assign(f.targets, item); err != nil {
				return err
			}
			v, err := f.filter.eval(s)
			if err == nil && truth(v) {
				chosen = append(chosen, item)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return chosen, nil
}

// loop is the variable of that name.
type loop struct {
	items   []any
	index   int
	changed []any // the last arguments of changed()
}

func (l *loop) get(name string) (any, bool) {
	n, i := len(l.items), l.index
	switch name {
	case "index":
		return int64(i + 1), true
	case "index0":
		return int64(i), true
	case "revindex":
		return int64(n - i), true
	case "revindex0":
		return int64(n - i - 1), true
	case "first":
		return i == 0, true
	case "last":
		return i == n-1, true
	case "length":
		return int64(n), true
	case "previtem":
		if i == 0 {
			return undefined("there is no previous item"), true
		}
		return l.items[i-1], true
	case "nextitem":
		if i == n-1 {
			return undefined("there is no next item"), true
		}
		return l.items[i+1], true
	case "cycle":
		return function(func(_ *state, a args) (any, error) {
			if len(a.list) == 0 {
				return nil, errors.New("loop.cycle needs arguments")
			}
			return a.list[i%len(a.list)], nil
		}), true
	case "changed":
		return function(func(_ *state, a args) (any, error) {
			same := l.changed != nil && equal(l.changed, a.list)
			l.changed = append([]any{}, a.list...)
			return !same, nil
		}), true
	}
	return nil, false
}

type macroStmt struct {
	name       string
	parameters []string
	defaults   []expr // nil for a parameter without one
	body       []stmt
	line       int
}

func (m macroStmt) exec(s *state) error {
	outer := s.scope
	s.scope.vars[m.name] = function(func(s *state, a args) (any, error) { return m.call(s, outer, a) })
	return nil
}

func (m macroStmt) call(s *state, outer *scope, a args) (any, error) {
	if err := s.step(m.line); err != nil {
		return nil, err
	}
	if s.macros++; s.macros > maxMacros {
		return nil, fmt.Errorf("macro %s: macros are nested more than %d deep", m.name, maxMacros)
	}
	defer func() { s.macros-- }()
	values, err := a.bind(m.parameters...)
	if err != nil {
		return nil, fmt.Errorf("macro %s: %w", m.name, err)
	}
	result := ""
	err = s.inner(outer, func() error {
		for i, name := range m.parameters {
			v := values[i]
			if v == missing && m.defaults[i] != nil {
				var err error
				if v, err = m.defaults[i].eval(s); err != nil {
					return err
				}
			} else if v == missing {
				v = undefined(fmt.Sprintf("parameter %q was not provided", name))
			}
			s.scope.vars[name] = v
		}
		var err error
		result, err = s.capture(m.body)
		return err
	})
	return result, err
}
