package chattemplate

import (
	"errors"
	"fmt"
	"strings"
)

// tests are what can follow "is".
var tests = map[string]func(any, args) (bool, error){
	"defined":   func(v any, a args) (bool, error) { return !isType[undefined](v), none(a) },
	"undefined": func(v any, a args) (bool, error) { return isType[undefined](v), none(a) },
	"none":      func(v any, a args) (bool, error) { return v == nil, none(a) },
	"true":      func(v any, a args) (bool, error) { return v == true, none(a) },
	"false":     func(v any, a args) (bool, error) { return v == false, none(a) },
	"boolean":   func(v any, a args) (bool, error) { return isType[bool](v), none(a) },
	"integer":   func(v any, a args) (bool, error) { return isType[int64](v), none(a) },
	"float":     func(v any, a args) (bool, error) { return isType[float64](v), none(a) },
	"string":    func(v any, a args) (bool, error) { return isType[string](v), none(a) },
	"mapping":   func(v any, a args) (bool, error) { return isType[*dict](v), none(a) },
	"callable":  func(v any, a args) (bool, error) { return isType[function](v), none(a) },
	"sequence": func(v any, a args) (bool, error) {
		return isType[[]any](v) || isType[string](v) || isType[*dict](v) || isType[undefined](v), none(a)
	},
	"iterable": func(v any, a args) (bool, error) {
		_, err := iterate(v)
		return err == nil, none(a)
	},
	"number": func(v any, a args) (bool, error) {
		_, ok := number(v)
		return ok, none(a)
	},
	"upper": func(v any, a args) (bool, error) {
		s := toString(v)
		return s == strings.ToUpper(s) && s != strings.ToLower(s), none(a)
	},
	"lower": func(v any, a args) (bool, error) {
		s := toString(v)
		return s == strings.ToLower(s) && s != strings.ToUpper(s), none(a)
	},
	"odd":         divides(2, 1),
	"even":        divides(2, 0),
	"divisibleby": divisible,
	"==":          comparing("=="), "!=": comparing("!="), "in": comparing("in"),
	"<": comparing("<"), "<=": comparing("<="), ">": comparing(">"), ">=": comparing(">="),
	"sameas": func(v any, a args) (bool, error) {
		b, err := a.bind("other")
		return typeName(v) == typeName(b[0]) && equal(v, b[0]), err
	},
}

// aliases are other names of tests.
var aliases = map[string]string{
	"eq": "==", "equalto": "==", "ne": "!=", "lt": "<", "lessthan": "<", "le": "<=", "gt": ">", "greaterthan": ">", "ge": ">=",
}

func testName(name string) (string, error) {
	if other, ok := aliases[name]; ok {
		return other, nil
	}
	if _, ok := tests[name]; !ok {
		return "", fmt.Errorf("the test %q is not supported", name)
	}
	return name, nil
}

func isType[T any](v any) bool {
	_, ok := v.(T)
	return ok
}

func comparing(op string) func(any, args) (bool, error) {
	return func(v any, a args) (bool, error) {
		b, err := a.bind("other")
		if err != nil {
			return false, err
		}
		if b[0] == missing {
			return false, errors.New("an argument is needed")
		}
		return holds(op, v, b[0])
	}
}

func divides(by, rest int64) func(any, args) (bool, error) {
	return func(v any, a args) (bool, error) {
		n, ok := integer(v)
		if !ok {
			return false, fmt.Errorf("%s is no integer", typeName(v))
		}
		return ((n%by)+by)%by == rest, none(a)
	}
}

func divisible(v any, a args) (bool, error) {
	b, err := a.bind("num")
	if err != nil {
		return false, err
	}
	by, ok := integer(b[0])
	if !ok || by == 0 {
		return false, errors.New("a number other than zero is needed")
	}
	return divides(by, 0)(v, args{})
}
