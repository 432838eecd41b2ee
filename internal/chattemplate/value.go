package chattemplate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A value is nil (none), bool, int64, float64, string, []any, *dict, *namespace, *loop, function or undefined.

// undefined is the value of a name or member that is not there; it says what is missing.
type undefined string

// function is a value that can be called.
type function func(*state, args) (any, error)

// dict keeps its keys in the order in which they were set.
type dict struct {
	keys   []string
	values map[string]any
}

func newDict(pairs ...any) *dict {
	d := &dict{values: map[string]any{}}
	for i := 0; i < len(pairs); i += 2 {
		d.set(pairs[i].(string), pairs[i+1])
	}
	return d
}

func (d *dict) set(key string, value any) {
	if _, ok := d.values[key]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[key] = value
}

// items returns the pairs of a dict.
func (d *dict) items() []any {
	pairs := make([]any, len(d.keys))
	for i, k := range d.keys {
		pairs[i] = []any{k, d.values[k]}
	}
	return pairs
}

// namespace is a value whose attributes a template sets.
type namespace struct{ vars map[string]any }

// missing marks an argument that was not given.
var missing any = new(int)

// args are the arguments of a call.
type args struct {
	list  []any
	named map[string]any
}

// bind returns the arguments by the names of the parameters, missing for those that were not given.
func (a args) bind(parameters ...string) ([]any, error) {
	if len(a.list) > len(parameters) {
		return nil, fmt.Errorf("%d arguments, at most %d are expected", len(a.list), len(parameters))
	}
	values := make([]any, len(parameters))
	for i := range values {
		values[i] = missing
	}
	copy(values, a.list)
	for name, v := range a.named {
		i := slices.Index(parameters, name)
		if i < 0 {
			return nil, fmt.Errorf("unexpected argument %q", name)
		}
		if values[i] != missing {
			return nil, fmt.Errorf("two values for argument %q", name)
		}
		values[i] = v
	}
	return values, nil
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "none"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case string:
		return "string"
	case []any:
		return "list"
	case *dict:
		return "dict"
	case undefined:
		return "undefined"
	case *namespace:
		return "namespace"
	case *loop:
		return "loop"
	}
	return "function"
}

func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case *dict:
		return len(v.keys) > 0
	}
	return true
}

// toString is Python's str.
func toString(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case undefined:
		return ""
	}
	return repr(v)
}

// repr is Python's repr.
func repr(v any) string {
	var b strings.Builder
	writeRepr(&b, v)
	return b.String()
}

func writeRepr(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		b.WriteString(formatFloat(v))
	case string:
		b.WriteString(quote(v))
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writeRepr(b, e)
		}
		b.WriteByte(']')
	case *dict:
		b.WriteByte('{')
		for i, k := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(quote(k) + ": ")
			writeRepr(b, v.values[k])
		}
		b.WriteByte('}')
	case undefined:
		b.WriteString("Undefined")
	default:
		b.WriteString("<" + typeName(v) + ">")
	}
}

// measure returns how much of memory a copy of the value would take that shares nothing, in bytes. A list can hold the
// same list twice, and that one another, so that a few names stand for more than any memory holds; whoever prints or
// compares such a value goes through all of it.
func measure(v any) (int, error) {
	if s, ok := v.(string); ok {
		return len(s), nil
	}
	size := 0
	return size, addSize(v, 0, &size)
}

func addSize(v any, depth int, size *int) error {
	if depth > maxNesting {
		return fmt.Errorf("a value is nested more than %d deep", maxNesting)
	}
	const header = 16
	*size += header
	switch v := v.(type) {
	case string:
		*size += len(v)
	case []any:
		for _, e := range v {
			if err := addSize(e, depth+1, size); err != nil {
				return err
			}
		}
	case *dict:
		for _, k := range v.keys {
			*size += len(k) + header
			if err := addSize(v.values[k], depth+1, size); err != nil {
				return err
			}
		}
	}
	if *size > maxValue {
		return errTooLarge
	}
	return nil
}

var errTooLarge = fmt.Errorf("a value is larger than %d bytes", maxValue)

// formatFloat is Python's repr of a float.
func formatFloat(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	case math.IsNaN(v):
		return "nan"
	}
	if e := math.Abs(v); e != 0 && (e < 1e-4 || e >= 1e16) {
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func quote(s string) string {
	q := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = `"`
	}
	return q + strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, q, `\`+q).Replace(s) + q
}

// iterate returns what a loop over the value goes through.
func iterate(v any) ([]any, error) {
	switch v := v.(type) {
	case []any:
		return v, nil
	case undefined:
		return nil, nil
	case *dict:
		keys := make([]any, len(v.keys))
		for i, k := range v.keys {
			keys[i] = k
		}
		return keys, nil
	case string:
		if utf8.RuneCountInString(v) > maxRange {
			return nil, fmt.Errorf("a string of more than %d letters cannot be gone through", maxRange)
		}
		var letters []any
		for _, r := range v {
			letters = append(letters, string(r))
		}
		return letters, nil
	}
	return nil, fmt.Errorf("%s cannot be gone through", typeName(v))
}

func length(v any) (int64, error) {
	switch v := v.(type) {
	case string:
		return int64(utf8.RuneCountInString(v)), nil
	case []any:
		return int64(len(v)), nil
	case *dict:
		return int64(len(v.keys)), nil
	case undefined:
		return 0, nil
	}
	return 0, fmt.Errorf("%s has no length", typeName(v))
}

// number returns a number as a float; true and false count as 1 and 0.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// integer returns an integer; true and false count as 1 and 0.
func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func equal(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case string:
		s, ok := b.(string)
		return ok && a == s
	case undefined:
		_, ok := b.(undefined)
		return ok
	case []any:
		other, ok := b.([]any)
		return ok && slices.EqualFunc(a, other, equal)
	case *dict:
		other, ok := b.(*dict)
		if !ok || len(a.keys) != len(other.keys) {
			return false
		}
		for k, v := range a.values {
			w, ok := other.values[k]
			if !ok || !equal(v, w) {
				return false
			}
		}
		return true
	case *namespace:
		other, ok := b.(*namespace)
		return ok && a == other
	}
	return false
}

func compare(a, b any) (int, error) {
	x, okX := number(a)
	y, okY := number(b)
	if okX && okY {
		return cmp.Compare(x, y), nil
	}
	s, okS := a.(string)
	t, okT := b.(string)
	if okS && okT {
		return cmp.Compare(s, t), nil
	}
	return 0, mismatch("compared", a, b)
}

// mismatch is the error of an operation on values of types that do not fit.
func mismatch(done string, a, b any) error {
	for _, v := range []any{a, b} {
		if u, ok := v.(undefined); ok {
			return errors.New(string(u))
		}
	}
	return fmt.Errorf("%s and %s cannot be %s", typeName(a), typeName(b), done)
}

// contains is Python's "v in of".
func contains(of, v any) (bool, error) {
	switch of := of.(type) {
	case string:
		s, ok := v.(string)
		if !ok {
			return false, fmt.Errorf("%s cannot be looked for in a string", typeName(v))
		}
		return strings.Contains(of, s), nil
	case *dict:
		s, ok := v.(string)
		_, there := of.values[s]
		return ok && there, nil
	}
	items, err := iterate(of)
	return slices.ContainsFunc(items, func(e any) bool { return equal(e, v) }), err
}
