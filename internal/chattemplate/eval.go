package chattemplate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// expr is an expression.
type expr interface{ eval(*state) (any, error) }

type literal struct{ value any }

func (l literal) eval(*state) (any, error) { return l.value, nil }

// captured is the text of the block of a set.
type captured struct{}

func (captured) eval(s *state) (any, error) { return s.captured, nil }

type variable struct {
	name string
	line int
}

func (v variable) eval(s *state) (any, error) {
	if err := s.step(v.line); err != nil {
		return nil, err
	}
	if value, ok := s.scope.get(v.name); ok {
		return value, nil
	}
	if f, ok := functions[v.name]; ok {
		return f, nil
	}
	return undefined(fmt.Sprintf("%q is undefined", v.name)), nil
}

type listExpr struct {
	items []expr
	line  int
}

func (l listExpr) eval(s *state) (any, error) {
	values, err := evalAll(s, l.items)
	if err != nil {
		return nil, err
	}
	return values, s.charge(values, l.line)
}

func evalAll(s *state, list []expr) ([]any, error) {
	values := make([]any, len(list))
	for i, e := range list {
		var err error
		if values[i], err = e.eval(s); err != nil {
			return nil, err
		}
	}
	return values, nil
}

type dictExpr struct {
	keys, values []expr
	line         int
}

func (d dictExpr) eval(s *state) (any, error) {
	result := newDict()
	for i := range d.keys {
		key, err := d.keys[i].eval(s)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, at(d.line, fmt.Errorf("%s as the key of a dict is not supported, a string is", typeName(key)))
		}
		value, err := d.values[i].eval(s)
		if err != nil {
			return nil, err
		}
		result.set(name, value)
	}
	return result, s.charge(result, d.line)
}

type conditional struct {
	value, test, otherwise expr
	line                   int
}

func (c conditional) eval(s *state) (any, error) {
	test, err := c.test.eval(s)
	if err != nil {
		return nil, err
	}
	if truth(test) {
		return c.value.eval(s)
	}
	if c.otherwise == nil {
		return undefined("the condition is false and there is no else"), nil
	}
	return c.otherwise.eval(s)
}

type logical struct {
	or          bool
	left, right expr
}

func (l logical) eval(s *state) (any, error) {
	v, err := l.left.eval(s)
	if err != nil || truth(v) == l.or {
		return v, err
	}
	return l.right.eval(s)
}

type negation struct{ of expr }

func (n negation) eval(s *state) (any, error) {
	v, err := n.of.eval(s)
	return !truth(v), err
}

type comparison struct {
	first expr
	ops   []string
	rest  []expr
	line  int
}

func (c comparison) eval(s *state) (any, error) {
	left, err := c.first.eval(s)
	if err != nil {
		return nil, err
	}
	for i, op := range c.ops {
		right, err := c.rest[i].eval(s)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(s.charge(left, c.line), s.charge(right, c.line)); err != nil {
			return nil, err
		}
		ok, err := holds(op, left, right)
		if err != nil || !ok {
			return false, at(c.line, err)
		}
		left = right
	}
	return true, nil
}

func holds(op string, a, b any) (bool, error) {
	switch op {
	case "==":
		return equal(a, b), nil
	case "!=":
		return !equal(a, b), nil
	case "in":
		return contains(b, a)
	case "not in":
		ok, err := contains(b, a)
		return !ok, err
	}
	order, err := compare(a, b)
	switch op {
	case "<":
		return order < 0, err
	case "<=":
		return order <= 0, err
	case ">":
		return order > 0, err
	}
	return order >= 0, err
}

type arithmetic struct {
	op          string
	left, right expr
	line        int
}

func (a arithmetic) eval(s *state) (any, error) {
	left, err := a.left.eval(s)
	if err != nil {
		return nil, err
	}
	right, err := a.right.eval(s)
	if err != nil {
		return nil, err
	}
	v, err := calculate(a.op, left, right)
	if err != nil {
		return nil, at(a.line, err)
	}
	return v, s.charge(v, a.line)
}

func calculate(op string, a, b any) (any, error) {
	if op == "~" {
		return join(toString(a), toString(b))
	}
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok && op == "+" {
			return join(x, y)
		}
		if n, ok := integer(b); ok && op == "*" {
			if n > 0 && int64(len(x)) > maxText/n {
				return nil, errTooLong
			}
			return strings.Repeat(x, int(max(n, 0))), nil
		}
		if op == "%" {
			return nil, errors.New("formatting with % is not supported")
		}
	case []any:
		if y, ok := b.([]any); ok && op == "+" {
			if len(x)+len(y) > maxRange {
				return nil, fmt.Errorf("a list of more than %d", maxRange)
			}
			return append(append([]any{}, x...), y...), nil
		}
	}
	x, okX := integer(a)
	y, okY := integer(b)
	if okX && okY && op != "/" && (op != "**" || y >= 0) {
		return calculateInts(op, x, y)
	}
	f, okF := number(a)
	g, okG := number(b)
	if !okF || !okG {
		return nil, mismatch("joined by "+op, a, b)
	}
	return calculateFloats(op, f, g)
}

func join(a, b string) (any, error) {
	if len(a)+len(b) > maxText {
		return nil, errTooLong
	}
	return a + b, nil
}

func calculateInts(op string, a, b int64) (any, error) {
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "**":
		if v := math.Pow(float64(a), float64(b)); math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
		return nil, errors.New("a power beyond 53 bits")
	}
	if b == 0 {
		return nil, errors.New("division by zero")
	}
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	if op == "//" {
		return q, nil
	}
	return a - q*b, nil
}

func calculateFloats(op string, a, b float64) (any, error) {
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "**":
		return math.Pow(a, b), nil
	}
	if b == 0 {
		return nil, errors.New("division by zero")
	}
	switch op {
	case "/":
		return a / b, nil
	case "//":
		return math.Floor(a / b), nil
	}
	return a - math.Floor(a/b)*b, nil
}

type attribute struct {
	of   expr
	name string
	line int
}

// eval looks for a method first, as Python does, then for a member.
func (a attribute) eval(s *state) (any, error) {
	v, err := a.of.eval(s)
	if err != nil {
		return nil, err
	}
	if text, ok := v.(string); ok { // which a method is about to read
		s.steps += len(text) / stepBytes
	}
	result, err := member(v, a.name)
	return result, at(a.line, err)
}

func member(v any, name string) (any, error) {
	switch of := v.(type) {
	case undefined:
		return nil, errors.New(string(of))
	case *loop:
		if value, ok := of.get(name); ok {
			return value, nil
		}
	case *namespace:
		if value, ok := of.vars[name]; ok {
			return value, nil
		}
	case *dict:
		if method, ok := dictMethods[name]; ok {
			return bound(method, of), nil
		}
		if value, ok := of.values[name]; ok {
			return value, nil
		}
	case string:
		if method, ok := stringMethods[name]; ok {
			return bound(method, of), nil
		}
	}
	return undefined(fmt.Sprintf("%s has no member %q", typeName(v), name)), nil
}

// bound makes a method of v a function.
func bound[T any](method func(T, args) (any, error), v T) function {
	return func(_ *state, a args) (any, error) { return method(v, a) }
}

type item struct {
	of, key expr
	line    int
}

func (i item) eval(s *state) (any, error) {
	of, err := i.of.eval(s)
	if err != nil {
		return nil, err
	}
	key, err := i.key.eval(s)
	if err != nil {
		return nil, err
	}
	if text, ok := of.(string); ok {
		s.steps += len(text) / stepBytes
	}
	v, err := element(of, key)
	return v, at(i.line, err)
}

func element(of, key any) (any, error) {
	if name, ok := key.(string); ok {
		if d, ok := of.(*dict); ok {
			if v, ok := d.values[name]; ok {
				return v, nil
			}
		}
		return member(of, name)
	}
	if u, ok := of.(undefined); ok {
		return nil, errors.New(string(u))
	}
	n, ok := integer(key)
	if !ok {
		return undefined(fmt.Sprintf("%s has no member %s", typeName(of), repr(key))), nil
	}
	switch of := of.(type) {
	case []any:
		if i, ok := index(n, len(of)); ok {
			return of[i], nil
		}
	case string:
		letters := []rune(of)
		if i, ok := index(n, len(letters)); ok {
			return string(letters[i]), nil
		}
	}
	return undefined(fmt.Sprintf("%s has no element %d", typeName(of), n)), nil
}

// index is Python's: a negative one counts from the end.
func index(i int64, length int) (int64, bool) {
	if i < 0 {
		i += int64(length)
	}
	return i, i >= 0 && i < int64(length)
}

type slice struct {
	of, from, to, step expr
	line               int
}

func (c slice) eval(s *state) (any, error) {
	of, err := c.of.eval(s)
	if err != nil {
		return nil, err
	}
	var bounds [3]any
	for i, e := range []expr{c.from, c.to, c.step} {
		if e == nil {
			continue
		}
		if bounds[i], err = e.eval(s); err != nil {
			return nil, err
		}
	}
	if err := s.charge(of, c.line); err != nil {
		return nil, err
	}
	v, err := cut(of, bounds)
	if err != nil {
		return nil, at(c.line, err)
	}
	return v, s.charge(v, c.line)
}

// cut is Python's of[from:to:step] for a list or a string.
func cut(of any, bounds [3]any) (any, error) {
	switch of := of.(type) {
	case []any:
		return cutItems(of, bounds)
	case string:
		letters, err := cutItems([]rune(of), bounds)
		return string(letters), err
	case undefined:
		return nil, errors.New(string(of))
	}
	return nil, fmt.Errorf("%s cannot be cut", typeName(of))
}

func cutItems[T any](items []T, bounds [3]any) ([]T, error) {
	n := int64(len(items))
	var given [3]int64
	for i, v := range bounds {
		var ok bool
		if given[i], ok = integer(v); v != nil && !ok {
			return nil, fmt.Errorf("%s as a bound", typeName(v))
		}
	}
	from, to, step := int64(0), n, int64(1)
	if bounds[2] != nil {
		step = given[2]
	}
	if step == 0 {
		return nil, errors.New("a step of zero")
	}
	if step < 0 {
		from, to = n-1, -1
	}
	if bounds[0] != nil {
		from = clamp(given[0], n, step)
	}
	if bounds[1] != nil {
		to = clamp(given[1], n, step)
	}
	result := []T{}
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		result = append(result, items[i])
		if step > n || step < -n {
			break
		}
	}
	return result, nil
}

// clamp turns a bound of a cut through n items into an index; negative ones count from the end.
func clamp(b, n, step int64) int64 {
	if b < 0 {
		b += n
	}
	if step < 0 {
		return min(max(b, -1), n-1)
	}
	return min(max(b, 0), n)
}

// arguments are the arguments of a call as they are written.
type arguments struct {
	positional []expr
	names      []string
	named      []expr
}

func (a arguments) eval(s *state, line int) (args, error) {
	list, err := evalAll(s, a.positional)
	if err != nil {
		return args{}, err
	}
	values, err := evalAll(s, a.named)
	if err != nil {
		return args{}, err
	}
	named := map[string]any{}
	for i, name := range a.names {
		named[name] = values[i]
	}
	for _, v := range slices.Concat(list, values) {
		if err := s.charge(v, line); err != nil {
			return args{}, err
		}
	}
	return args{list, named}, nil
}

type call struct {
	of expr
	arguments
	line int
}

func (c call) eval(s *state) (any, error) {
	if err := s.step(c.line); err != nil {
		return nil, err
	}
	of, err := c.of.eval(s)
	if err != nil {
		return nil, err
	}
	a, err := c.arguments.eval(s, c.line)
	if err != nil {
		return nil, err
	}
	switch f := of.(type) {
	case function:
		v, err := f(s, a)
		if err != nil {
			return nil, at(c.line, err)
		}
		return v, s.charge(v, c.line)
	case undefined:
		return nil, at(c.line, errors.New(string(f)))
	}
	return nil, at(c.line, fmt.Errorf("%s cannot be called", typeName(of)))
}

// applied is a filter or test with the value that it is applied to.
type applied struct {
	of   expr
	name string
	arguments
	line int
}

// operands computes the value first, then the arguments.
func (a applied) operands(s *state) (any, args, error) {
	v, err := a.of.eval(s)
	if err != nil {
		return nil, args{}, err
	}
	if err := s.charge(v, a.line); err != nil {
		return nil, args{}, err
	}
	values, err := a.arguments.eval(s, a.line)
	return v, values, err
}

type filterExpr struct{ applied }

func (f filterExpr) eval(s *state) (any, error) {
	v, a, err := f.operands(s)
	if err != nil {
		return nil, err
	}
	apply, ok := filters[f.name]
	if !ok {
		return nil, at(f.line, unsupportedFilter(f.name))
	}
	result, err := apply(v, a)
	if err != nil {
		return nil, at(f.line, fmt.Errorf("filter %s: %w", f.name, err))
	}
	return result, s.charge(result, f.line)
}

type testExpr struct{ applied }

func (t testExpr) eval(s *state) (any, error) {
	v, a, err := t.operands(s)
	if err != nil {
		return nil, err
	}
	ok, err := tests[t.name](v, a)
	if err != nil {
		return nil, at(t.line, fmt.Errorf("test %s: %w", t.name, err))
	}
	return ok, nil
}
